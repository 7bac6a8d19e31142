"""Config of the task wide."""
