"""The program `calyx`."""
