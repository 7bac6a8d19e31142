"""The gateway: answers of a released model, to whom they are owed, and what is written down of them."""
