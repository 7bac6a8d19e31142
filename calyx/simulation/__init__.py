"""Runs on one machine: engines, what is tried before the start, and what looks on from outside."""
