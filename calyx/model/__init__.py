"""A model as named arrays: its weights, its training section, and what it is judged by. No Flower."""
