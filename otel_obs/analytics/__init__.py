"""What rows mean: pure functions, with no clock, no client and no network."""
