"""Where a server is, how a site knows it, and by which key it is known there."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from calyx.errors import UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


@dataclass(frozen=True)
class Door:
    """Where a server is, and how to know it and be known."""

    address: str  # HOST:PORT of the gateway
    authority: Path  # certificate that signs the gateway's
    private_key: bytes = field(repr=False)  # this site's node key: PEM, EC P-384

    def key(self) -> "EllipticCurvePrivateKey":
        """The node key. Raises UserError where the file held none."""
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(self.private_key, password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, EllipticCurvePrivateKey):
            raise UserError(
                "The file of node_key holds no node key; make one with `calyx keys site`."
            )
        return key
