"""How a site proves itself to Flower's Fleet API, seen from the gateway: a part of the seam.

Flower's node authentication signs the time of a call. The gateway asks for the same proof before it
reads a large body or counts one for a site: a public key alone says who somebody claims to be.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm

from calyx.flower import SIGNATURE_HEADER, SITE_HEADER

TIMESTAMP_HEADER = "flwr-timestamp"
MOST_KEY, MOST_SIGNATURE, MOST_TIMESTAMP = 1024, 256, 64  # characters of a header


def proves_itself(headers: Mapping[str, str], now: datetime) -> bool:
    """Whether the caller holds the private key of the site that it names, and has just said so.

    `headers` are a request's, by lower-case name; `now` has a time zone.
    """
    from flwr.common.constant import SYSTEM_TIME_TOLERANCE, TIMESTAMP_TOLERANCE
    from flwr.supercore.primitives.asymmetric import bytes_to_public_key, verify_signature

    key, signature = headers.get(SITE_HEADER, ""), headers.get(SIGNATURE_HEADER, "")
    signed = headers.get(TIMESTAMP_HEADER, "")
    if not (0 < len(key) <= MOST_KEY and 0 < len(signature) <= MOST_SIGNATURE):
        return False
    if not 0 < len(signed) <= MOST_TIMESTAMP:
        return False
    try:
        age = (now - datetime.fromisoformat(signed)).total_seconds()
        if not -SYSTEM_TIME_TOLERANCE < age < TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE:
            return False
        public = bytes_to_public_key(b64decode(key, validate=True))
        return bool(
            verify_signature(public, signed.encode("ascii"), b64decode(signature, validate=True))
        )
    except (ValueError, TypeError, Error, UnsupportedAlgorithm):
        return False
