"""Federated statistics: what is measured of a client's rows, and what sums over clients say."""
