"""TLS of a federation: the operator's own authority, its server's certificate, sites' node keys.

Everything is `cryptography`'s; this file says names, uses and times. Private keys are PKCS#8 PEM.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from calyx.errors import UserError
from calyx.files import read_bounded
from calyx.key_files import MAX_KEY_BYTES, PRIVATE_MODE, check_name, read_bytes, refuse_existing
from calyx.outputs import write_whole

AUTHORITY_DAYS, SERVER_DAYS = 3650, 398
_CURVE = ec.SECP384R1()  # the one that Flower takes for node keys


@dataclass(frozen=True)
class Described:
    """What a certificate says."""

    subject: str
    names: tuple[str, ...]  # hosts and addresses that it is for
    begins: datetime
    ends: datetime
    fingerprint: str  # SHA-256, in hex
    is_authority: bool  # signs others

    def days_left(self, now: datetime) -> float:
        """Until it ends; negative when it has ended."""
        return (self.ends - now).total_seconds() / 86400


def make_server(folder: Path, hosts: Sequence[str]) -> None:
    """Write ca.crt, ca.key, server.crt and server.key for a gateway that is reached as `hosts`.

    127.0.0.1 and localhost are added: the SuperLink behind the gateway uses the same certificate.
    Raises UserError for a host that is no name or address, and where a file is there already.
    """
    refuse_existing(
        folder / f"{owner}.{end}" for owner in ("ca", "server") for end in ("key", "crt")
    )
    authority = ec.generate_private_key(_CURVE)
    issuer = _name("Calyx federation")
    root = _builder(issuer, issuer, authority.public_key(), AUTHORITY_DAYS)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(_usage(signs_certificates=True), critical=True)
    signed = root.sign(authority, SHA256())
    crt, key = _make_leaf(authority, signed, hosts)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data, mode in (
        ("ca.key", _private(authority), PRIVATE_MODE),
        ("ca.crt", signed.public_bytes(Encoding.PEM), 0o644),
        ("server.key", key, PRIVATE_MODE),
        ("server.crt", crt, 0o644),
    ):
        write_whole(folder / name, data, mode)


def renew_server(folder: Path, hosts: Sequence[str]) -> None:
    """Replace server.crt and server.key by new ones of the same authority; the old are kept as .old.

    No `hosts` means those of the old certificate. Raises UserError, and then nothing has changed.
    """
    names = hosts or describe(folder / "server.crt").names
    authority, root = read_private(folder / "ca.key"), _read_certificate(folder / "ca.crt")
    if root.public_key() != authority.public_key():
        raise UserError(f"{folder / 'ca.key'} is not the key of {folder / 'ca.crt'}.")
    if root.not_valid_after_utc <= datetime.now(UTC):
        raise UserError(
            f"{folder / 'ca.crt'} has ended, and no site would trust what it signs; make another "
            "authority with `calyx keys init --folder NEW`, and give its ca.crt to every site."
        )
    crt, key = _make_leaf(authority, root, names)
    for name, data, mode in (("server.key", key, PRIVATE_MODE), ("server.crt", crt, 0o644)):
        if (folder / name).exists():
            before = read_bounded(folder / name, 2**16)
            write_whole(folder / f"{name}.old", before, mode, replace=True)
        write_whole(folder / name, data, mode, replace=True)


def _make_leaf(
    authority: ec.EllipticCurvePrivateKey, root: x509.Certificate, hosts: Sequence[str]
) -> tuple[bytes, bytes]:
    own = ec.generate_private_key(_CURVE)
    left = (root.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)
    days = min(SERVER_DAYS, left)  # a site trusts it no longer than its authority
    leaf = _builder(_name("Calyx gateway"), root.subject, own.public_key(), days)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(_usage(signs_certificates=False), critical=True)
    leaf = leaf.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    names = [_alternative(h) for h in dict.fromkeys([*hosts, "127.0.0.1", "localhost"])]
    leaf = leaf.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return leaf.sign(authority, SHA256()).public_bytes(Encoding.PEM), _private(own)


def check_pair(certificate: Path, key: Path) -> None:
    """Raise UserError unless the key is the certificate's."""
    if _read_certificate(certificate).public_key() != read_private(key).public_key():
        raise UserError(f"{key} is not the key of {certificate}.")


def check_signed(certificate: Path, authority: Path) -> None:
    """Raise UserError unless the authority has signed the certificate."""
    if not _is_issued(_read_certificate(certificate), _read_certificate(authority)):
        raise UserError(f"{certificate} was not signed by {authority}.")


def is_of_authority(presented: str, authority: Path) -> bool:
    """Whether a server's certificate (PEM, from a handshake) is the authority's, ended or not."""
    try:
        found = x509.load_pem_x509_certificate(presented.encode())
    except ValueError:
        return False
    return _is_issued(found, _read_certificate(authority))


def _is_issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def describe(path: Path) -> Described:
    """What a certificate says. Raises UserError."""
    found = _read_certificate(path)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = tuple(str(name.value) for name in names)
    except x509.ExtensionNotFound:
        hosts = ()
    try:
        is_authority = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    return Described(
        found.subject.rfc4514_string(),
        hosts,
        found.not_valid_before_utc,
        found.not_valid_after_utc,
        found.fingerprint(SHA256()).hex(),
        is_authority,
    )


def check_node_public(path: Path) -> str:
    """SHA-256, in hex, of a site's public node key. Raises UserError where it is none."""
    try:
        key = load_pem_public_key(read_bounded(path, 2**14))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != _CURVE.name:
        raise UserError(f"{path} is no public node key; see `calyx keys site`.")
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def make_node_key(name: str, folder: Path) -> None:
    """Write NAME.node.key (0600), which opens the gateway, and NAME.node.pub for the operator."""
    check_name(name)
    refuse_existing(node_files(name, folder))
    key = ec.generate_private_key(_CURVE)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    folder.mkdir(parents=True, exist_ok=True)
    private, given = node_files(name, folder)
    write_whole(private, _private(key), PRIVATE_MODE)
    write_whole(given, public, 0o644)


def node_files(name: str, folder: Path) -> tuple[Path, Path]:
    """Where a site's node key lies, and its public half for the operator."""
    return folder / f"{name}.node.key", folder / f"{name}.node.pub"


def is_pem(path: Path) -> bool:
    """Whether a file holds a key or a certificate. Raises UserError where it cannot be read."""
    return b"-----BEGIN " in read_bytes(path, "file", 2**28)[0][:MAX_KEY_BYTES]


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(read_bounded(path, 2**16))
    except ValueError:
        raise UserError(f"{path} is no certificate; make one with `calyx keys init`.") from None


def read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """A private key of a certificate or a node. Raises UserError."""
    try:
        key = load_pem_private_key(read_bounded(path, 2**14), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UserError(f"{path} is no private key of `calyx keys init` or `calyx keys site`.")
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float
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
    if not host.isascii() or not all(
        0 < len(label) <= 63 and label.replace("-", "").isalnum() for label in labels
    ):
        raise UserError(f"{host!r} is neither a host's name nor an address.")
    return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
