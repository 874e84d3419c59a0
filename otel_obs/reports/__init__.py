"""REPORTS: question → parameters → .sql → pure function → answer. The only room that knows store and analytics."""
