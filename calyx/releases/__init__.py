"""A released model on its way: what its folder holds, who signed it, and whether it may be used."""
