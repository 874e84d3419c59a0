"""The demo: a store, a replay and a backtest as real processes, and the answers."""
