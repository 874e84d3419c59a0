"""What is generated from the tables of the contract, the settings and the reports; committed, and byte-checked."""
