"""Numbers, counts and names as people read them. Pure."""
