"""Preprocessing as pure functions: fit on training rows, apply to any."""
