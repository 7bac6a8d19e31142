"""TLS of a federation: what a certificate says and who signed it, and sites' node keys."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
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

from calyx.errors import UserError
from calyx.files.outputs import write_whole
from calyx.files.plain import read_bounded
from calyx.trust.key_files import (
    MAX_KEY_BYTES,
    PRIVATE_MODE,
    check_name,
    read_bytes,
    refuse_existing,
)

SOON_DAYS = 30  # before its end, from which on a certificate is said to end soon
CURVE = ec.SECP384R1()  # the one that Flower takes for node keys


@dataclass(frozen=True)
class Described:
    """Subject, names, dates and fingerprint of a certificate."""

    subject: str
    names: tuple[str, ...]  # hosts and addresses that it is for
    begins: datetime
    ends: datetime
    fingerprint: str  # SHA-256, in hex
    is_authority: bool  # signs others

    def days_left(self, now: datetime) -> float:
        """Days until the certificate ends; negative when it has ended."""
        return (self.ends - now).total_seconds() / 86400


def has_identifier(certificate: Path) -> bool:
    """Whether it has the key identifier that Python 3.13 and other strict verifiers ask for."""
    extensions = read_certificate(certificate).extensions
    return any(isinstance(one.value, x509.SubjectKeyIdentifier) for one in extensions)


def check_pair(certificate: Path, key: Path) -> None:
    """Raise UserError unless the key is the certificate's."""
    if read_certificate(certificate).public_key() != read_private(key).public_key():
        raise UserError(f"{key} is not the key of {certificate}.")


def check_signed(certificate: Path, authority: Path) -> None:
    """Raise UserError unless the authority has signed the certificate."""
    if not _is_issued(read_certificate(certificate), read_certificate(authority)):
        raise UserError(f"{certificate} was not signed by {authority}.")


def is_of_authority(presented: str, authority: Path) -> bool:
    """Whether a server's certificate (PEM, from a handshake) is the authority's, ended or not."""
    try:
        certificate = x509.load_pem_x509_certificate(presented.encode())
    except ValueError:
        return False
    return _is_issued(certificate, read_certificate(authority))


def _is_issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def describe(path: Path) -> Described:
    """What a certificate says. Raises UserError."""
    certificate = read_certificate(path)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = tuple(str(name.value) for name in names)
    except x509.ExtensionNotFound:
        hosts = ()
    try:
        is_authority = certificate.extensions.get_extension_for_class(
            x509.BasicConstraints
        ).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    return Described(
        certificate.subject.rfc4514_string(),
        hosts,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.fingerprint(SHA256()).hex(),
        is_authority,
    )


def check_node_public(path: Path) -> str:
    """SHA-256, in hex, of a site's public node key. Raises UserError where it is none."""
    try:
        key = load_pem_public_key(read_bounded(path, 2**14))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != CURVE.name:
        raise UserError(f"{path} is no public node key; see `calyx keys site`.")
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def make_node_key(name: str, folder: Path) -> None:
    """Write NAME.node.key (0600), which opens the gateway, and NAME.node.pub for the operator."""
    check_name(name)
    refuse_existing(node_files(name, folder))
    key = ec.generate_private_key(CURVE)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    folder.mkdir(parents=True, exist_ok=True)
    private, public_file = node_files(name, folder)
    write_whole(private, private_pem(key), PRIVATE_MODE)
    write_whole(public_file, public, 0o644)


def node_files(name: str, folder: Path) -> tuple[Path, Path]:
    """Where a site's node key lies, and its public half for the operator."""
    return folder / f"{name}.node.key", folder / f"{name}.node.pub"


def is_pem(path: Path) -> bool:
    """Whether a file holds a key or a certificate. Raises UserError where it cannot be read."""
    return b"-----BEGIN " in read_bytes(path, "file", 2**28)[0][:MAX_KEY_BYTES]


def read_certificate(path: Path) -> x509.Certificate:
    """A certificate in PEM. Raises UserError."""
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


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as PKCS#8 PEM, without a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
