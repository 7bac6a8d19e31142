"""Sweeps: many jobs in one folder, their table, and who leads."""
