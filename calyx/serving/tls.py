"""TLS of the gateway: its certificate, and the certificates of callers where a CA for them is named.

A caller's certificate lets it through to the gateway, in addition to a key or token, and says nothing of
who it is. Files that change are in force for the next connection; those that are there go on.
"""

import ipaddress
import socket
import ssl
from pathlib import Path

from calyx.errors import ConfigError, UserError, printable
from calyx.files.outputs import show_path
from calyx.serving.access_config import TlsConfig
from calyx.serving.watched import Watched, refuse_writable
from calyx.trust.key_files import MAX_KEY_BYTES, mend, read_bytes

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all of this kind
_MOST_BYTES = 2**20


class Certificates:
    """The context for the next handshake."""

    def __init__(self, cfg: TlsConfig) -> None:
        """Raise UserError where a file is absent or damaged, or the key is not its owner's alone."""
        self._cfg = cfg
        files = [cfg.certificate, cfg.key, *([cfg.clients] if cfg.clients else [])]
        self._context: ssl.SSLContext
        self._watched = Watched(self._take, *map(Path, files))

    def _take(self) -> None:
        self._context = make_context(self._cfg)

    @property
    def context(self) -> ssl.SSLContext:
        """By the files as they are now, or as they last were whole."""
        self._watched.look()
        return self._context


def make_context(cfg: TlsConfig) -> ssl.SSLContext:
    """TLS 1.2 or 1.3, and a caller's certificate where a CA is named. Raises UserError."""
    certificate, key = Path(cfg.certificate), Path(cfg.key)
    read_bytes(certificate, "certificate", _MOST_BYTES)
    _, mode = read_bytes(key, "private key", 4 * MAX_KEY_BYTES)
    if mode & 0o077:
        raise UserError(
            f"{show_path(key)} has mode {mode:04o}, wider than 0600; make it its owner's alone with "
            f"`{mend(key)}`, or make a new key if others may have read it."
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Whoever starts a gateway is not there to be asked for a passphrase.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError):
        raise UserError(
            f"{show_path(certificate)} and {show_path(key)} are no certificate and its private key, in PEM "
            "and without a passphrase; name the two that belong together."
        ) from None
    if cfg.clients is not None:
        _ask_for_certificates(context, Path(cfg.clients))
    return context


def _ask_for_certificates(context: ssl.SSLContext, clients: Path) -> None:
    data, mode = read_bytes(clients, "certificate of a CA", _MOST_BYTES)
    refuse_writable(clients, mode)
    try:
        context.load_verify_locations(cadata=data.decode("ascii"))
        count = context.cert_store_stats()["x509_ca"]
    except (ValueError, OSError):
        count = 0
    if not count:
        raise UserError(f"{show_path(clients)} holds no certificate of a CA, in PEM.")
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # each connection shows its certificate


def check_exposure(host: str, tls: TlsConfig | None) -> None:
    """Raise ConfigError for an address that others can reach without TLS: keys would be read on the way."""
    if tls is not None:
        return
    try:
        found = socket.getaddrinfo(
            host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        return  # whoever listens there says so
    for *_, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise ConfigError(
                f"serve.host={printable(host, 80)} can be reached by others, and without TLS they would read "
                "keys and rows on the way; set serve.tls.certificate and serve.tls.key, or "
                "serve.host=127.0.0.1."
            )
