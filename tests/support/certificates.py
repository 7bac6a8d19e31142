"""Certificates that are not as they should be, made with the authority of a folder."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key


def replace_server(folder, begins, ends):
    """Sign server.crt again, valid from and until so many days from now."""
    old = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=ends))
    )
    for extension in old.extensions:
        made = made.add_extension(extension.value, extension.critical)
    (folder / "server.crt").write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
