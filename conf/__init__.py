"""Hydra configuration groups; a package so that an installed `calyx` finds them."""
