"""Tasks: data, schema and model under one name."""
