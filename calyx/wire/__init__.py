"""What crosses the wire, typed and checked."""
