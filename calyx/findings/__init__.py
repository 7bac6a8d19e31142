"""What sums over clients say of a federation's data: figures, findings, drift: the server's half."""
