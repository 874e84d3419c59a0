"""From ALERTS to whoever is on call: rules for Prometheus, and what Alertmanager is told and asked."""
