"""What travels and what rests of a run: its orders, its folder, and the names in both."""
