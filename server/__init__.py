"""The coordinator: rounds, cohorts, the grid wrapper, checkpoints."""
