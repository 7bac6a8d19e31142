"""Configs of the tasks of the workload, for `calyx simulate task=engine_mlp`."""
