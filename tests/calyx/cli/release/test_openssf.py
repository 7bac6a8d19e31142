"""`--openssf`: a key that cannot sign is refused at once. That it signs: tests/e2e/test_release_page.py."""

import importlib.util

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from calyx.cli.release.openssf import check_openssf
from calyx.errors import UserError

IS_THERE = bool(importlib.util.find_spec("OpenSSL") and importlib.util.find_spec("model_signing"))
P256, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256K1())


def written(path, key, mode=0o600, lock=None):
    path.touch(mode)
    form = BestAvailableEncryption(lock) if lock else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form))
    return path


@pytest.mark.skipif(not IS_THERE, reason="the extra openssf is not installed")
def test_only_a_private_elliptic_key_of_ones_own_signs(tmp_path):
    check_openssf(written(tmp_path / "fine.pem", P256))
    for name, key, lock in (
        ("curve", OTHER, None),
        ("edwards", ed25519.Ed25519PrivateKey.generate(), None),
        ("locked", P256, b"passphrase"),
    ):
        with pytest.raises(UserError, match="no private key for --openssf"):
            check_openssf(written(tmp_path / name, key, lock=lock))
    (tmp_path / "none").write_text("no key")
    with pytest.raises(UserError, match="no private key for --openssf"):
        check_openssf(tmp_path / "none")
    (tmp_path / "fine.pem").chmod(0o644)
    with pytest.raises(UserError, match="wider than 0600"):
        check_openssf(tmp_path / "fine.pem")


@pytest.mark.skipif(IS_THERE, reason="the extra openssf is installed")
def test_without_the_package_its_extra_is_named(tmp_path):
    with pytest.raises(UserError, match="openssf"):
        check_openssf(written(tmp_path / "fine.pem", P256))
