"""How far sites lie apart, from sums of powers over them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shift:
    """How a share, or a mean in units of the declared range, differs between sites."""

    mean: float  # over sites, each counting once
    sd: float
