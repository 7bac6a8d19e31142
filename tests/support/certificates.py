"""Certificates that are not as they should be, made with the authority of a folder."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key


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
