"""What server and client share and neither owns."""
