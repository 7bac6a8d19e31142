"""The group `task`."""
