"""Numbers that add up over clients: exact, in fixed point, without a secret in them."""
