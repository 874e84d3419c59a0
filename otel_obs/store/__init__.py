"""Where records are kept and asked for: the only room that knows SQL."""
