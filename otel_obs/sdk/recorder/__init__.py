"""The hot path: a bot's thread numbers a record and leaves it in a bounded queue; a thread of ours does the rest."""
