"""Typed facts: one pydantic model for each stream. Imported no sooner than the first fact is said."""
