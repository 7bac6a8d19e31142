"""A first schema of a folder of CSV files, for its owner to correct: looked at, guessed, written."""
