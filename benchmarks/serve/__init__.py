"""How fast the gateway answers beside servers of other people: `python -m benchmarks.serve`."""
