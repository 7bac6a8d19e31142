"""Sites that sign their requests as Flower's node authentication does, with any time and any key."""

import base64
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class NodeKey:
    """A site's node key. `ahead_s` is how far the clock that it signs by is ahead."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP384R1())
        self.public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def headers(self, ahead_s=0.0, claims=None):
        """Of one request; `claims` is the key that it says it is by, if that is another's."""
        time = (datetime.now(UTC) + timedelta(seconds=ahead_s)).isoformat()
        signature = self._key.sign(time.encode("ascii"), ec.ECDSA(hashes.SHA256()))
        return {
            "flwr-public-key": base64.b64encode(claims or self.public).decode(),
            "flwr-timestamp": time,
            "flwr-signature": base64.b64encode(signature).decode(),
        }
