"""Hydra composes a config here, and what follows from others is filled in."""
