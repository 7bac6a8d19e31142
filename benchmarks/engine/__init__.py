"""How fast simulations are: Calyx, a plain loop and other people's simulators on the same rows."""
