"""An operator's own authority and its server's certificate: made, and renewed with its names.

Everything is `cryptography`'s; this file says names, uses and times (RFC 5280). Private keys are
PKCS#8 PEM. See docs/decisions/0062.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from calyx.errors import UserError, printable
from calyx.files.outputs import write_whole
from calyx.files.plain import read_bounded
from calyx.trust.certificates import (
    CURVE,
    describe,
    has_identifier,
    private_pem,
    read_certificate,
    read_private,
)
from calyx.trust.key_files import PRIVATE_MODE, refuse_existing

AUTHORITY_DAYS, SERVER_DAYS = 3650, 398
_OWN_NAMES = ("127.0.0.1", "localhost")  # of the SuperLink behind the gateway


@dataclass(frozen=True)
class Renewed:
    """What a renewal has changed for sites."""

    added: tuple[str, ...]  # names that the certificate has now and had not
    gone: tuple[str, ...]  # names that it had and has no more
    old: tuple[str, ...]  # files of `folder` that hold what was replaced
    is_root_new: bool  # ca.crt is of the same key, and strict verifiers want the new one


def make_server(folder: Path, hosts: Sequence[str]) -> None:
    """Write ca.crt, ca.key, server.crt and server.key for a gateway that is reached as `hosts`.

    127.0.0.1 and localhost are added: the SuperLink behind the gateway uses the same certificate.
    Raises UserError for a host that is no name or address, and where a file is there already.
    """
    refuse_existing(
        folder / f"{owner}.{end}" for owner in ("ca", "server") for end in ("key", "crt")
    )
    authority = ec.generate_private_key(CURVE)
    signed = _make_root(authority, _name("Calyx federation"), AUTHORITY_DAYS)
    crt, key = _make_leaf(authority, signed, hosts)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data, mode in (
        ("ca.key", private_pem(authority), PRIVATE_MODE),
        ("ca.crt", signed.public_bytes(Encoding.PEM), 0o644),
        ("server.key", key, PRIVATE_MODE),
        ("server.crt", crt, 0o644),
    ):
        write_whole(folder / name, data, mode)


def renew_server(folder: Path, hosts: Sequence[str], without: Sequence[str] = ()) -> Renewed:
    """Replace server.crt and server.key by new ones of the same authority; the old are kept.

    The names are those of the old certificate and `hosts`, less those of `without`. An authority
    of before key identifiers (RFC 5280 §4.2.1.2) is written anew, with the same key and end.
    Raises UserError, and then nothing has changed.
    """
    authority, root = read_private(folder / "ca.key"), read_certificate(folder / "ca.crt")
    if root.public_key() != authority.public_key():
        raise UserError(f"{folder / 'ca.key'} is not the key of {folder / 'ca.crt'}.")
    if root.not_valid_after_utc <= datetime.now(UTC):
        raise UserError(
            f"{folder / 'ca.crt'} has ended, and no site would trust what it signs; make another "
            "authority with `calyx keys init --folder NEW`, and give its ca.crt to every site."
        )
    is_lost = bool(hosts) and not (folder / "server.crt").exists()
    before = () if is_lost else describe(folder / "server.crt").names
    names = _select_names(before, hosts, without)
    is_root_new = not has_identifier(folder / "ca.crt")
    if is_root_new:
        left = (root.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)
        root = _make_root(authority, root.subject, left)
    crt, key = _make_leaf(authority, root, names)
    written = [("server.key", key, PRIVATE_MODE), ("server.crt", crt, 0o644)]
    if is_root_new:
        written.append(("ca.crt", root.public_bytes(Encoding.PEM), 0o644))
    old = [_keep(folder / name, mode) for name, _, mode in written if (folder / name).exists()]
    for name, data, mode in written:
        write_whole(folder / name, data, mode, replace=True)
    now = describe(folder / "server.crt").names
    added, gone = (tuple(n for n in a if n not in b) for a, b in ((now, before), (before, now)))
    return Renewed(added, gone, tuple(old), is_root_new)


def _select_names(before: Sequence[str], hosts: Sequence[str], without: Sequence[str]) -> list[str]:
    """The names that sites may use: those of before and `hosts`, less those of `without`."""
    names = [name for name in dict.fromkeys([*before, *hosts]) if name not in _OWN_NAMES]
    for name in without:
        if name in hosts:
            raise UserError(
                f"--host={printable(name)} and --without={printable(name)} are the same name; leave one "
                "of the two out."
            )
        if name in _OWN_NAMES:
            raise UserError(f"--without={name}: the SuperLink itself uses that name; it stays.")
        if name not in names:
            raise UserError(
                f"--without={printable(name)}: the certificate is for {', '.join(names)}; name one "
                "of these."
            )
    left = [name for name in names if name not in without]
    if without and not left:
        raise UserError("No site could reach the server by a name then; give one with --host.")
    return left


def _keep(path: Path, mode: int) -> str:
    """Copy a file to the first free of NAME.old, NAME.old-2, …; the copy's name."""
    name, number = f"{path.name}.old", 2
    while os.path.lexists(path.with_name(name)):
        name, number = f"{path.name}.old-{number}", number + 1
    write_whole(path.with_name(name), read_bounded(path, 2**16), mode)
    return name


def _make_root(
    authority: ec.EllipticCurvePrivateKey, issuer: x509.Name, days: float
) -> x509.Certificate:
    public = authority.public_key()
    root = _builder(issuer, issuer, public, days)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(_usage(signs_certificates=True), critical=True)
    own = x509.SubjectKeyIdentifier.from_public_key(public)
    return root.add_extension(own, critical=False).sign(authority, SHA256())


def _make_leaf(
    authority: ec.EllipticCurvePrivateKey, root: x509.Certificate, hosts: Sequence[str]
) -> tuple[bytes, bytes]:
    own = ec.generate_private_key(CURVE)
    left = (root.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)
    days = min(SERVER_DAYS, left)  # a site trusts it no longer than its authority
    leaf = _builder(_name("Calyx gateway"), root.subject, own.public_key(), days)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(_usage(signs_certificates=False), critical=True)
    leaf = leaf.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    names = [_alternative(h) for h in dict.fromkeys([*hosts, *_OWN_NAMES])]
    leaf = leaf.add_extension(x509.SubjectAlternativeName(names), critical=False)
    # RFC 5280 §4.2.1.1 and .2; a strict verifier (Python 3.13's default) refuses one without.
    for identifier in (
        x509.SubjectKeyIdentifier.from_public_key(own.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
    ):
        leaf = leaf.add_extension(identifier, critical=False)
    return leaf.sign(authority, SHA256()).public_bytes(Encoding.PEM), private_pem(own)


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
