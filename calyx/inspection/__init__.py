"""What a site sees in its own rows before it trains. None of it is sent."""
