"""Measurements that anybody can repeat; nothing in the product depends on them."""
