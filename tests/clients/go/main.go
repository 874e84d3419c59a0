// Speaks to the front as users of clickhouse-go do, over HTTP, once with each compression, and prints as JSON what it
// saw. It exits with 1 at the first thing that is not as it must be.
//
// usage: client HOST:PORT [USER PASSWORD]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const (
	insertedRows = 100_000
	streamedRows = 2_000_000
	unknownTable = 60
	thrown       = 395
	tooManyRows  = 396
)

var compressions = map[string]clickhouse.CompressionMethod{
	"none": clickhouse.CompressionNone,
	"lz4":  clickhouse.CompressionLZ4,
	"zstd": clickhouse.CompressionZSTD,
	"gzip": clickhouse.CompressionGZIP,
}

// Seen is what one connection saw.
type Seen struct {
	Revision     uint64
	Version      string
	InsertedRows uint64
	StreamedRows uint64
	Parameters   []string
	ErrorCode    int32
	ErrorText    string
	LateError    int32
	SettingError int32
}

var tricky = []string{"it's", "a \"quote\"", "back\\slash", "a\nb", "a\tb", "", "ü€😀", "\\'; DROP TABLE t --"}

func main() {
	seen := map[string]*Seen{}
	for name, method := range compressions {
		one, err := look(os.Args[1], name, method)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
		seen[name] = one
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		os.Exit(1)
	}
}

func look(address, name string, method clickhouse.CompressionMethod) (*Seen, error) {
	auth := clickhouse.Auth{Database: "otel"}
	if len(os.Args) > 2 {
		auth.Username, auth.Password = os.Args[2], os.Args[3]
	}
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{address},
		Auth:        auth,
		Compression: &clickhouse.Compression{Method: method, Level: 3},
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen := &Seen{}
	table := "go_" + name
	for _, step := range []func() error{
		func() error { return conn.Ping(ctx) },
		func() error { return readHello(conn, seen) },
		func() error { return insert(ctx, conn, table) },
		func() error { return readBack(ctx, conn, table, seen) },
		func() error { return passParameters(ctx, conn, seen) },
		func() error { return stream(ctx, conn, seen) },
		func() error { return provokeErrors(ctx, conn, seen) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

func readHello(conn driver.Conn, seen *Seen) error {
	server, err := conn.ServerVersion()
	if err != nil {
		return err
	}
	seen.Revision, seen.Version = server.Revision, server.Version.String()
	return nil
}

func insert(ctx context.Context, conn driver.Conn, table string) error {
	create := "CREATE TABLE " + table + ` (
		at DateTime64(9), n UInt64, s String, low LowCardinality(String), m Map(LowCardinality(String), String),
		nested Nested(name String, attributes Map(String, String)), maybe Nullable(Float64)
	) ENGINE = MergeTree ORDER BY n`
	if err := conn.Exec(ctx, create); err != nil {
		return err
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table)
	if err != nil {
		return err
	}
	half := 0.5
	for n := range insertedRows {
		var maybe *float64
		if n%2 == 0 {
			maybe = &half
		}
		err := batch.Append(
			time.Unix(1_700_000_000, int64(n)).UTC(), uint64(n), fmt.Sprintf("row \x00\xff %d", n), "bot", map[string]string{"k": "v"},
			[]string{"first", "second"}, []map[string]string{{"a": "b"}, {}}, maybe,
		)
		if err != nil {
			return err
		}
	}
	return batch.Send()
}

func readBack(ctx context.Context, conn driver.Conn, table string, seen *Seen) error {
	rows, err := conn.Query(ctx, "SELECT * FROM "+table+" ORDER BY n")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			at         time.Time
			n          uint64
			s, low     string
			m          map[string]string
			names      []string
			attributes []map[string]string
			maybe      *float64
		)
		if err := rows.Scan(&at, &n, &s, &low, &m, &names, &attributes, &maybe); err != nil {
			return err
		}
		asSent := at.UnixNano() == 1_700_000_000_000_000_000+int64(n) && s == fmt.Sprintf("row \x00\xff %d", n) && low == "bot" &&
			m["k"] == "v" && names[1] == "second" && attributes[0]["a"] == "b" && (maybe == nil) == (n%2 == 1)
		if n != seen.InsertedRows || !asSent {
			return fmt.Errorf("row %d came back as %v %d %q %q %v %v %v %v", seen.InsertedRows, at, n, s, low, m, names, attributes, maybe)
		}
		seen.InsertedRows++
	}
	return expect(rows.Err(), "rows", seen.InsertedRows, uint64(insertedRows))
}

func passParameters(ctx context.Context, conn driver.Conn, seen *Seen) error {
	for _, value := range tricky {
		var echoed string
		withValue := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"v": escaped(value)}))
		if err := conn.QueryRow(withValue, "SELECT {v:String}").Scan(&echoed); err != nil {
			return fmt.Errorf("parameter %q: %w", value, err)
		}
		seen.Parameters = append(seen.Parameters, echoed)
		if echoed != value {
			return fmt.Errorf("parameter %q came back as %q", value, echoed)
		}
	}
	return nil
}

// escaped is the text form of ClickHouse's parameters, which the driver leaves to its caller.
func escaped(value string) string {
	out := ""
	for _, r := range value {
		switch r {
		case '\\':
			out += `\\`
		case '\n':
			out += `\n`
		case '\t':
			out += `\t`
		default:
			out += string(r)
		}
	}
	return out
}

func stream(ctx context.Context, conn driver.Conn, seen *Seen) error {
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT number FROM numbers(%d)", streamedRows))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var number uint64
		if err := rows.Scan(&number); err != nil {
			return err
		}
		if number != seen.StreamedRows {
			return fmt.Errorf("row %d of the stream holds %d", seen.StreamedRows, number)
		}
		seen.StreamedRows++
	}
	return expect(rows.Err(), "streamed rows", seen.StreamedRows, uint64(streamedRows))
}

func provokeErrors(ctx context.Context, conn driver.Conn, seen *Seen) error {
	err := conn.Exec(ctx, "SELECT * FROM no_such_table")
	if seen.ErrorCode, seen.ErrorText = exception(err); seen.ErrorCode != unknownTable {
		return fmt.Errorf("exec of an unknown table: %w", err)
	}
	if _, err = conn.Query(ctx, "SELECT * FROM no_such_table"); code(err) != unknownTable {
		return fmt.Errorf("query of an unknown table: %w", err)
	}
	if err = conn.QueryRow(ctx, "SELECT 1 FROM no_such_table").Err(); code(err) != unknownTable {
		return fmt.Errorf("row of an unknown table: %w", err)
	}
	late := "SELECT rand64(), throwIf(number = 3000000) FROM numbers(5000000)"
	if seen.LateError = code(readAll(ctx, conn, late)); seen.LateError != thrown {
		return fmt.Errorf("an error in the middle of a stream came as code %d", seen.LateError)
	}
	limited := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_result_rows": 1, "no_such_setting": 1}))
	if seen.SettingError = code(readAll(limited, conn, "SELECT number FROM numbers(2)")); seen.SettingError != tooManyRows {
		return fmt.Errorf("max_result_rows was not kept: code %d", seen.SettingError)
	}
	return readAll(ctx, conn, "SELECT number FROM numbers(2)")
}

func readAll(ctx context.Context, conn driver.Conn, query string) error {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

func exception(err error) (int32, string) {
	var known *clickhouse.Exception
	if errors.As(err, &known) {
		return known.Code, known.Message
	}
	return 0, ""
}

func code(err error) int32 {
	number, _ := exception(err)
	return number
}

func expect(err error, what string, got, want uint64) error {
	if err == nil && got != want {
		err = fmt.Errorf("%d %s, not %d", got, what, want)
	}
	return err
}
