"""FedAvg: the mean of the clients' updates, weighted by examples.

McMahan et al., AISTATS 2017, arXiv:1602.05629, algorithm 1.
"""

from strategies.algorithm import Algorithm, NoKeys


class FedAvg(Algorithm[NoKeys]):
    """w ← w + Σ_k (n_k / n) (w_k − w); locally plain training."""
