"""What a server may ask of clients: which vector answers it, and under which rules."""
