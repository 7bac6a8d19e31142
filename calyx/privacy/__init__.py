"""How updates are put into sums, how many, and what that guarantees."""
