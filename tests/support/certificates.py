"""Certificates of callers, and such as are not as they should be, by the authority of a folder."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


def replace_server(folder, begins, ends, host=None):
    """Sign server.crt again, valid from and until so many days from now, for `host` alone."""
    _sign_again(folder, "server.crt", (begins, ends), host)


def replace_authority(folder, begins, ends):
    """Sign ca.crt again, with the same key, valid from and until so many days from now."""
    _sign_again(folder, "ca.crt", (begins, ends), None)


def drop_identifiers(folder, *names):
    """Sign certificates again as the first versions did: without key identifiers."""
    for name in names:
        _sign_again(folder, name, (-20, 100), None, is_old=True)


def _sign_again(folder, name, days, host, *, is_old=False):
    old = x509.load_pem_x509_certificate((folder / name).read_bytes())
    key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )
    for extension in old.extensions:
        value = extension.value
        if is_old and isinstance(value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier):
            continue
        if host and isinstance(value, x509.SubjectAlternativeName):
            value = x509.SubjectAlternativeName([x509.DNSName(host)])
        made = made.add_extension(value, extension.critical)
    (folder / name).write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))


def make_client(folder, authority, days=(-1, 1)):
    """client.crt and client.key in `folder`, signed by the ca.key of the folder `authority`."""
    issuer = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    signing = load_pem_private_key((authority / "ca.key").read_bytes(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ward")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .sign(signing, SHA256())
    )
    (folder / "client.crt").write_bytes(made.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "client.key").write_bytes(pem)
    return str(folder / "client.crt"), str(folder / "client.key")
