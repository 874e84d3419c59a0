"""Looking after what is kept: how much there is, how long it stays, and its copies elsewhere."""
