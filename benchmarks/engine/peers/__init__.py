"""Adapters: the workload on other people's simulators, and nothing else in a file than its simulator's way.

Each is a program `python -m benchmarks.engine.peers.NAME WORKLOAD OUTCOME` of an environment that has no
Calyx: `benchmarks/engine/environments.py` makes them.
"""
