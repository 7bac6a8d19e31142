"""Rows and what is known of them: columns, schemas, tables, and how they are read from files."""
