"""What is counted of a client's rows for a sum over all, and how small cells are hidden: the client's half."""
