"""A client's own rows: read, checked, split, preprocessed, and counted."""
