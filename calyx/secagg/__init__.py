"""Sums of clients' contributions in fixed point. Pure: no Flower, no clock, no global randomness."""
