"""Who must sign a release: n keys of which m must, and the signatures over its manifest.

Whoever verifies or serves keeps the policy, signers.json, as a file of its own and takes none from
a release. Signatures are Ed25519 over the manifest's bytes, with a tag of their own, so that none made for
anything else of Calyx's can stand for one. See docs/decisions/0082.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import rfc8785
from pydantic import Field, StringConstraints

from calyx.config.section import PositiveInt, config, parse
from calyx.errors import ConfigError, UserError, printable
from calyx.files.foreign import parse_json
from calyx.files.outputs import show_path
from calyx.files.plain import read_bounded
from calyx.releases.manifest import SIGNATURES, Unverified, digest_of
from calyx.secagg.keys import identity_of, sign, verify
from calyx.trust.key_files import PublicKey, check_name
from calyx.words.lookalikes import lookalikes
from calyx.words.sentences import join_names

MOST_SIGNERS = 100
MOST_SIGNATURE_BYTES = 2**16
_TAG = "release"
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]  # Ed25519, public, in hex
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


@dataclass(frozen=True)
class Signers:
    """A policy: at least `threshold` of these keys, by the names of their owners."""

    threshold: int
    keys: Mapping[str, bytes]  # Ed25519 public keys, 32 bytes

    def __post_init__(self) -> None:
        """Raise ValueError for a policy that nothing fulfils, or in which one key or name stands twice."""
        if not 1 <= self.threshold <= len(self.keys) <= MOST_SIGNERS:
            raise ValueError(
                f"it asks for {self.threshold} signatures of {len(self.keys)} keys, and must ask for 1 to "
                f"as many as there are, of {MOST_SIGNERS} at most"
            )
        if len(set(self.keys.values())) < len(self.keys):
            raise ValueError("two of its names have the same key, which would count twice")
        if twins := lookalikes(self.keys):
            raise ValueError(f"the names {twins[0]!r} and {twins[1]!r} cannot be told apart")


@config
class _Policy:
    format: Literal["calyx-signers/1"]
    threshold: PositiveInt
    signers: Annotated[dict[str, Key], Field(min_length=1, max_length=MOST_SIGNERS)]


@config
class _Signed:
    format: Literal["calyx-signatures/1"] = "calyx-signatures/1"
    signatures: Annotated[dict[Key, Signature], Field(max_length=MOST_SIGNERS)]  # by key


@dataclass(frozen=True)
class SignedBy:
    """Whose signatures a manifest has."""

    names: tuple[str, ...]  # of the policy
    unknown: tuple[str, ...]  # keys that the policy does not have, in hex: they count for nothing


def read_signers(path: Path) -> Signers:
    """The policy in a file that the user names. Raises UserError."""
    cure = "make one with `calyx keys signers`"
    try:
        value = parse_json(read_bounded(path, MOST_SIGNATURE_BYTES))
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        policy = parse(_Policy, value, "")
        _check_names(policy.signers)
        return Signers(policy.threshold, {k: bytes.fromhex(v) for k, v in policy.signers.items()})
    except (ConfigError, ValueError) as error:
        reason = str(error)
    raise UserError(
        f"{show_path(path)} is no policy of signers: {printable(reason.rstrip('.'), 300)}; {cure}."
    )


def _check_names(names: Iterable[str]) -> None:
    """Raise ValueError for a name that no key file can have."""
    for name in names:
        try:
            check_name(name, "signer")
        except UserError as error:
            raise ValueError(str(error)) from None


def signers_bytes(signers: Signers) -> bytes:
    """The file of a policy."""
    keys = {name: key.hex() for name, key in signers.keys.items()}
    policy = _Policy(format="calyx-signers/1", threshold=signers.threshold, signers=keys)
    return rfc8785.dumps(asdict(policy)) + b"\n"


def make_signers(threshold: int, publics: list[PublicKey]) -> Signers:
    """A policy of these public keys. Raises UserError where `Signers` would refuse it."""
    keys = {public.name: public.key for public in publics}
    try:
        if len(keys) < len(publics):
            raise ValueError("two of the keys have the same name")
        return Signers(threshold, keys)
    except ValueError as error:
        raise UserError(
            f"The policy cannot be made: {error}; give each signer's .pub file once, and as --threshold a "
            "number that so many can reach."
        ) from None


def sign_manifest(private: bytes, manifest: bytes, signatures: bytes) -> bytes:
    """`signatures`, the bytes of manifest.sig (b"" of none), and that of `private`'s owner beside them.

    Raises Unverified where those that are there do not fit.
    """
    signed = _read_signed(manifest, signatures)
    mine = sign(private, _TAG, digest_of(manifest)).hex()
    return _signed_bytes(_Signed(signatures=signed | {identity_of(private).hex(): mine}))


def join_signatures(manifest: bytes, signatures: bytes, others: bytes) -> bytes:
    """Two manifest.sig of one manifest.json as one. Raises Unverified where a signature does not fit."""
    both = _read_signed(manifest, signatures) | _read_signed(manifest, others)
    return _signed_bytes(_Signed(signatures=both))


def check_signatures(manifest: bytes, signatures: bytes, signers: Signers) -> SignedBy:
    """Who has signed the bytes of manifest.json, by the bytes of manifest.sig.

    Raises Unverified unless as many signers have as the policy asks for, or where any signature does not
    fit: also one of a key that the policy does not have.
    """
    signed = _read_signed(manifest, signatures)
    names = tuple(name for name, key in signers.keys.items() if key.hex() in signed)
    unknown = tuple(sorted(signed.keys() - {key.hex() for key in signers.keys.values()}))
    if len(names) < signers.threshold:
        raise Unverified(_say_missing(names, unknown, signers))
    return SignedBy(names, unknown)


def list_keys(manifest: bytes, signatures: bytes) -> tuple[str, ...]:
    """The keys, in hex, whose signatures fit. Raises Unverified where one does not."""
    return tuple(sorted(_read_signed(manifest, signatures)))


def _read_signed(manifest: bytes, data: bytes) -> dict[Key, Signature]:
    """Signatures by key, each of which fits, and spelt in the one way. Raises Unverified."""
    if not data:
        return {}
    try:
        value = parse_json(data)
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        signed = parse(_Signed, value, "")
        if _signed_bytes(signed) != data:
            raise ValueError("it is not spelt as RFC 8785 has it")
    except (ValueError, ConfigError) as error:
        why = printable(str(error).rstrip("."), 300)
        raise Unverified(f"{SIGNATURES} is damaged: {why}; get it again from who signed.") from None
    digest = digest_of(manifest)
    for key, signature in signed.signatures.items():
        if not verify(bytes.fromhex(key), bytes.fromhex(signature), _TAG, digest):
            raise Unverified(
                f"{SIGNATURES} has a signature of key {key[:16]}… that does not fit: it or manifest.json was "
                "changed after it was signed."
            )
    return signed.signatures


def _signed_bytes(signed: _Signed) -> bytes:
    return rfc8785.dumps(asdict(signed))


def _say_missing(names: tuple[str, ...], unknown: tuple[str, ...], signers: Signers) -> str:
    others = f", and {len(unknown)} unknown" if unknown else ""
    missing = join_names([name for name in signers.keys if name not in names])
    if not names and not unknown:
        return f"It is not signed: {signers.threshold} of {len(signers.keys)} signers must; ask {missing}."
    by = f"by {join_names(names)}" if names else "by nobody of the policy"
    return (
        f"It is signed {by}{others}, and {signers.threshold} of {len(signers.keys)} signers must have "
        f"signed; ask {missing}."
    )
