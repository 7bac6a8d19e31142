"""What tests share: a federation in this process, the real program, files that a user might have."""
