"""ALERTS: everything that somebody is told of without asking."""
