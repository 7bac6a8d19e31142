"""One federated algorithm a file, both halves."""
