"""From typed rows to answers: one pure function for each report."""
