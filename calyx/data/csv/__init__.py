"""CSV files of which a schema says how they are written."""
