"""How much of a served model can be stolen, and what its answers tell of who was trained on."""
