"""The configs of the task `wide`."""
