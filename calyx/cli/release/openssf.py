"""`--openssf KEY.pem`: a signature that programs of OpenSSF Model Signing verify, beside Calyx's own.

It is model.sig, a Sigstore bundle by the package model-signing, over all files of a release but the
manifest, which lists it in turn. Source: OpenSSF Model Signing specification 1.0.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from calyx.errors import CalyxError, UserError, printable
from calyx.files.outputs import show_path
from calyx.files.plain import read_plain, write_synced
from calyx.trust.key_files import MAX_KEY_BYTES, PRIVATE_MODE, mend, read_bytes
from calyx.words.extras import advise_extra

BUNDLE = "model.sig"
_MOST_BYTES = 2**20  # of a bundle, which has some hundred bytes for each file
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def check_openssf(key: Path) -> None:
    """Raise UserError unless the package is installed and `key` can sign, before anything is made."""
    _import_signing()
    data, mode = read_bytes(key, "private key", MAX_KEY_BYTES)
    try:
        private = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, EllipticCurvePrivateKey) or private.curve.name not in _CURVES:
        raise UserError(
            f"{show_path(key)} is no private key for --openssf, which takes a PEM file without a passphrase, "
            "of an elliptic curve: `openssl ecparam -name prime256v1 -genkey -noout -out openssf.pem`."
        )
    if mode & ~PRIVATE_MODE:
        raise UserError(
            f"{show_path(key)} has mode {mode:04o}, wider than 0600; make it its owner's alone with "
            f"`{mend(key)}`."
        )


def make_bundle(files: Mapping[str, bytes], key: Path, name: str) -> bytes:
    """The bytes of model.sig over `files`, the files of a release called `name`.

    The package signs folders, so that they lie in a private one for a moment. Raises CalyxError.
    """
    signing = _import_signing()
    with TemporaryDirectory(prefix="calyx-") as folder:
        model, bundle = Path(folder, name), Path(folder, BUNDLE)
        try:
            model.mkdir()
            for one, data in files.items():
                write_synced(model / one, data)
            signing.Config().use_elliptic_key_signer(private_key=key).sign(model, bundle)
            return read_plain(bundle, _MOST_BYTES)
        except (OSError, ValueError, TypeError) as error:
            why = printable(str(error).rstrip("."), 200)
            raise CalyxError(f"{BUNDLE} cannot be made: {why}. Nothing was released.") from None


def _import_signing() -> Any:  # noqa: ANN401 - of a package that may be missing
    try:
        return import_module("model_signing.signing")
    except ImportError:
        advice = advise_extra("openssf")
        raise UserError(f"--openssf needs the package model-signing: {advice}.") from None
