"""What a release is made of, from a finished run."""
