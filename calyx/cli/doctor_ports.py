"""Whether a server can listen where it is told to, or who does so already."""

import hashlib
import ssl
from pathlib import Path

from calyx.cli.checks import Check
from calyx.machine.ports import why_taken
from calyx.trust.certificates import describe, is_of_authority

ANSWER_S = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - not listened on


def look_at_port(what: str, host: str, port: int, keys: Path) -> Check:
    """Free, a server of the same authority, or a problem. Raises UserError for a bad ca.crt."""
    reason = why_taken(host, port)
    if reason is None:
        return Check(what, "ok", f"{host}:{port} is free")
    presented = _fetch_certificate(_ANYWHERE.get(host, host), port)
    if presented is None or not is_of_authority(presented, keys / "ca.crt"):
        found = f"{host}:{port} cannot be listened on ({reason}), and no server of {keys} is there"
        mend = f"end the program that has it, or choose another --{what}; see also --host"
        return Check(what, "problem", found, mend)
    served = hashlib.sha256(ssl.PEM_cert_to_DER_cert(presented)).hexdigest()
    if served != describe(keys / "server.crt").fingerprint:
        found = f"a server runs at {host}:{port} with another certificate than {keys}/server.crt"
        return Check(what, "note", found, "stop `calyx server` and start it again")
    return Check(what, "ok", f"{host}:{port} is taken by a server with {keys}/server.crt")


def _fetch_certificate(host: str, port: int) -> str | None:
    """The certificate, in PEM, of whoever speaks TLS there; it has proved to hold the key."""
    try:
        return ssl.get_server_certificate((host, port), timeout=ANSWER_S)
    except (OSError, OverflowError, ValueError):
        return None
