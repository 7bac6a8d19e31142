"""May I? Everything that is checked of an order before any row is read."""
