"""TLS of a federation: the operator's own authority, its server's certificate, sites' node keys.

Everything is `cryptography`'s; this file says names, uses and times. Private keys are PKCS#8 PEM.
"""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from calyx.errors import UserError
from calyx.key_files import PRIVATE_MODE, check_name, write_whole

AUTHORITY_DAYS, SERVER_DAYS = 3650, 398
_CURVE = ec.SECP384R1()  # the one that Flower takes for node keys


def make_server(folder: Path, hosts: Sequence[str]) -> None:
    """Write ca.crt, ca.key, server.crt and server.key for a gateway that is reached as `hosts`.

    127.0.0.1 and localhost are added: the SuperLink behind the gateway uses the same certificate.
    Raises UserError for a host that is no name or address, and where a file is there already.
    """
    authority, own = ec.generate_private_key(_CURVE), ec.generate_private_key(_CURVE)
    issuer = _name("Calyx federation")
    root = _builder(issuer, issuer, authority.public_key(), AUTHORITY_DAYS)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(_usage(signs_certificates=True), critical=True)
    leaf = _builder(_name("Calyx gateway"), issuer, own.public_key(), SERVER_DAYS)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(_usage(signs_certificates=False), critical=True)
    leaf = leaf.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    names = [_alternative(h) for h in dict.fromkeys([*hosts, "127.0.0.1", "localhost"])]
    leaf = leaf.add_extension(x509.SubjectAlternativeName(names), critical=False)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data, mode in (
        ("ca.key", _private(authority), PRIVATE_MODE),
        ("ca.crt", root.sign(authority, SHA256()).public_bytes(Encoding.PEM), 0o644),
        ("server.key", _private(own), PRIVATE_MODE),
        ("server.crt", leaf.sign(authority, SHA256()).public_bytes(Encoding.PEM), 0o644),
    ):
        write_whole(folder / name, data, mode)


def make_node_key(name: str, folder: Path) -> None:
    """Write NAME.node.key (0600), which opens the gateway, and NAME.node.pub for the operator."""
    check_name(name)
    key = ec.generate_private_key(_CURVE)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}.node.key", _private(key), PRIVATE_MODE)
    write_whole(folder / f"{name}.node.pub", public, 0o644)


def expiry(path: Path) -> datetime:
    """When a certificate ends. Raises UserError."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        raise UserError(f"{path} is no certificate; make one with `calyx keys init`.") from None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of sites may be behind
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.split(".")
    if not all(0 < len(label) <= 63 and label.replace("-", "").isalnum() for label in labels):
        raise UserError(f"{host!r} is neither a host's name nor an address.")
    return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
