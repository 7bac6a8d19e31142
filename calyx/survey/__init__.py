"""What is counted of a client's rows for sums over all, and how small cells are hidden."""
