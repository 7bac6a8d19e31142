"""Separate machines: the gateway before Flower's server, and a site's process."""
