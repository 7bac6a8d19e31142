"""Where a run happens, and what looks on from outside."""
