"""Keys, certificates, what was signed, and which code runs."""
