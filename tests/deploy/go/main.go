// Reads a Compose file and its Dockerfiles as Docker itself does, and tells what it understood, as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(compose, environment string, dockerfiles []string) error {
	for _, name := range dockerfiles {
		if err := understood(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	options, err := cli.NewProjectOptions([]string{compose}, cli.WithEnvFiles(environment), cli.WithDotEnv)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(project)
}

func understood(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	tree, err := parser.Parse(file)
	if err != nil {
		return err
	}
	_, _, err = instructions.Parse(tree.AST, nil)
	return err
}
