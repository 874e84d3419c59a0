"""What may be said: names, shapes, units, outcomes and what may be lost. No client, no clock, no SDK."""
