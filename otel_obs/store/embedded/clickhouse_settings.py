"""The settings that a client may give with a statement: in the URL, or as text in a SETTINGS clause."""

from __future__ import annotations

from typing import Final

# What a client may set for its one statement. All other settings are accepted and ignored: those of the interface,
# of sessions and users, and `readonly`, which a connection cannot take back (we honour it ourselves).
_SETTINGS: Final = frozenset(
    {
        "date_time_input_format",
        "date_time_output_format",
        "do_not_merge_across_partitions_select_final",
        "extremes",
        "final",
        "group_by_overflow_mode",
        "insert_deduplicate",
        "insert_deduplication_token",
        "insert_null_as_default",
        "join_algorithm",
        "join_use_nulls",
        "limit",
        "log_comment",
        "max_ast_elements",
        "max_block_size",
        "max_bytes_to_read",
        "max_execution_time",
        "max_expanded_ast_elements",
        "max_insert_block_size",
        "max_memory_usage",
        "max_query_size",
        "max_result_bytes",
        "max_result_rows",
        "max_rows_to_group_by",
        "max_rows_to_read",
        "max_threads",
        "mutations_sync",
        "offset",
        "read_overflow_mode",
        "result_overflow_mode",
        "session_timezone",
        "timeout_overflow_mode",
    }
)
_PREFIXES: Final = (
    "allow_experimental_",
    "allow_suspicious_",
    "enable_",
    "format_csv_",
    "format_custom_",
    "format_tsv_",
    "input_format_",
    "output_format_",
)
# They name files of the server, which it writes or reads, hold a statement of their own, or belong to the interface.
_NEVER: Final = frozenset(
    {
        "allow_experimental_eval_table_function",
        "dialect",
        "enable_http_compression",
        "format_avro_schema_registry_url",
        "input_format_record_errors_file_path",
        "output_format_schema",
    }
)
# Of tables, as CREATE has them.
_OF_TABLES: Final = frozenset(
    {"deduplicate_merge_projection_mode", "lightweight_mutation_projection_mode", "storage_policy"}
)


def may_be_set(name: str) -> bool:
    """Whether a client may set this in the URL."""
    return (name in _SETTINGS or name.startswith(_PREFIXES)) and name not in _NEVER


def may_stand_in_a_statement(name: str, *, is_text: bool) -> bool:
    """Whether a client may set this in a SETTINGS clause.

    A number does no harm that the bounds do not cover. A text may be a path, an address, or an expression that the
    engine evaluates, readonly or not (``SETTINGS select = 'file(…)'``): so texts are for settings that we know.
    """
    return name not in _NEVER and (not is_text or may_be_set(name) or name in _OF_TABLES)
