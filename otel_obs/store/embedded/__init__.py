"""The store as one process on one machine: the ClickHouse engine, an OTLP receiver and ClickHouse's HTTP interface."""
