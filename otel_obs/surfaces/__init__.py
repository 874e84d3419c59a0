"""Where people and agents meet the answers: thin walks over REPORTS, independent of one another."""
