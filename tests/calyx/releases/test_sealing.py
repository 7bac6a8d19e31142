"""A release that is kept encrypted: nothing of it is readable, and nothing that was changed opens."""

import json
import shutil
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.releases import SIGNERS, make_release, model_bytes, write_signers

from calyx.cli.main import run
from calyx.errors import UserError
from calyx.releases.manifest import Unverified
from calyx.releases.reading import check_release, read_release
from calyx.releases.sealing import CHUNK_BYTES, Opener, SealTo, read_opener, sealed_bytes
from calyx.serving.swap import Releases
from calyx.trust.recipients import Recipient, make_recipient, read_passphrase, read_recipient

PRIVATE = {name: X25519PrivateKey.generate() for name in ("ward", "lab", "stranger")}
RAW = {name: key.private_bytes_raw() for name, key in PRIVATE.items()}
TO = SealTo(
    tuple(Recipient(n, PRIVATE[n].public_key().public_bytes_raw()) for n in ("ward", "lab"))
)
WARD = Opener((RAW["ward"],))
LONG = bytes(range(256)) * 1025  # some chunks, and a last one that is not full
FILES = {"long.bin": LONG, "even.bin": bytes(2 * CHUNK_BYTES), "none.bin": b""}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("releases") / "heart-1"
    make_release(folder, to=TO, files=FILES)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "heart-1")


def refused(folder, opener=WARD):
    with pytest.raises(Unverified) as caught:
        read_release(folder, SIGNERS, opener=opener)
    return str(caught.value)


def test_each_recipient_reads_what_was_signed_and_nobody_else(made):
    for name in ("ward", "lab"):
        release = read_release(made, SIGNERS, opener=Opener((RAW["stranger"], RAW[name])))
        assert release.files["model.safetensors"] == model_bytes()
        assert {n: release.files[n] for n in FILES} == FILES
        assert release.signed_by == ("anna", "bela")
    assert "none of the keys" in refused(made, Opener((RAW["stranger"],)))
    assert "--decrypt-with FILE" in refused(made, None)


def test_a_gateway_chooses_what_it_can_open(made):
    assert Releases(made.parent, SIGNERS, WARD).choose(None).digest
    with pytest.raises(Unverified, match="--decrypt-with"):
        Releases(made.parent, SIGNERS).choose(None)


def test_nothing_but_the_manifest_and_its_signatures_is_readable(made):
    names = {path.name for path in made.iterdir()}
    assert {n for n in names if not n.endswith(".sealed")} == {
        *("manifest.json", "manifest.sig", "sealed.json")
    }
    for path in made.glob("*.sealed"):
        data = path.read_bytes()
        assert LONG[:64] not in data
        assert b"calyx" not in data
        assert len(data) == sealed_bytes(
            json.loads((made / "manifest.json").read_text())["files"][path.stem]["bytes"]
        )


def sha256(data):
    state = Hash(SHA256())
    state.update(data)
    return state.finalize().hex()


def framed(*items):
    """Items after one another, each with its length, as decision 0083 has it."""
    return b"".join(
        struct.pack("<I", len(i.encode() if isinstance(i, str) else i))
        + (i.encode() if isinstance(i, str) else i)
        for i in items
    )


def test_it_opens_by_the_words_of_its_decision(made):
    """Oracle: `cryptography`'s HPKE, HKDF and AES-GCM, put together here as decision 0083 says."""
    header, manifest = ((made / n).read_bytes() for n in ("sealed.json", "manifest.json"))
    bound = sha256(manifest)
    mine = PRIVATE["lab"].public_key().public_bytes_raw()
    (one,) = (k for k in json.loads(header)["keys"] if k["to"] == mine.hex())
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    about = framed("calyx-sealed/1/key", bound)
    root = suite.decrypt(bytes.fromhex(one["wrapped"]), PRIVATE["lab"], about)
    info = framed("calyx-sealed/1/file", "long.bin", bound, sha256(header))
    cipher = AESGCM(HKDFExpand(SHA256(), 32, info).derive(root))
    sealed = (made / "long.bin.sealed").read_bytes()
    chunks = [sealed[i : i + 2**16 + 16] for i in range(0, len(sealed), 2**16 + 16)]
    nonces = [i.to_bytes(11, "big") + bytes([i == len(chunks) - 1]) for i in range(len(chunks))]
    assert b"".join(cipher.decrypt(n, c, None) for n, c in zip(nonces, chunks, strict=True)) == LONG


@given(st.data(), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_one_byte_changed_anywhere_is_refused(folder, data, place, change):
    name = data.draw(st.sampled_from(sorted(p.name for p in folder.iterdir())))
    whole = (folder / name).read_bytes()
    changed = bytearray(whole)
    changed[int(place * len(whole))] ^= change
    (folder / name).write_bytes(changed)
    refused(folder)
    (folder / name).write_bytes(whole)
    check_release(folder, SIGNERS, WARD)


STEP = CHUNK_BYTES + 16


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d[:-1],
        lambda d: d[:STEP],
        lambda d: d[: 4 * STEP],
        lambda d: d[:15],
        lambda d: b"",
        lambda d: d[STEP : 2 * STEP] + d[:STEP] + d[2 * STEP :],
        lambda d: d[:STEP] + d,
        lambda d: d + b"\0",
    ],
    ids=[
        "a byte",
        "to a chunk",
        "to whole chunks",
        "to less than a tag",
        "to nothing",
        "moved",
        "doubled",
        "longer",
    ],
)
def test_what_is_cut_off_moved_or_longer_is_refused(folder, change):
    path = folder / "long.bin.sealed"
    assert len(path.read_bytes()) > 4 * STEP
    path.write_bytes(change(path.read_bytes()))
    assert "long.bin" in refused(folder)


def test_files_of_one_release_do_not_open_in_another_or_under_another_name(folder, tmp_path):
    make_release(tmp_path / "other" / "heart-1", to=TO, files=FILES)
    other = tmp_path / "other" / "heart-1"
    mine = (folder / "long.bin.sealed").read_bytes()
    shutil.copy(other / "long.bin.sealed", folder)
    assert "long.bin.sealed does not open" in refused(folder)
    (folder / "long.bin.sealed").write_bytes(mine)
    shutil.copy(other / "sealed.json", folder)
    assert "none of the keys" in refused(folder) or "does not open" in refused(folder)
    same = {"a.bin": LONG, "b.bin": LONG}
    make_release(tmp_path / "third" / "heart-1", to=TO, files=same)
    third = tmp_path / "third" / "heart-1"
    shutil.copy(third / "a.bin.sealed", third / "b.bin.sealed")
    assert "b.bin.sealed does not open" in refused(third)


def test_a_plain_file_in_a_sealed_release_is_a_stranger(folder):
    (folder / "card.json").write_text("{}")
    assert "card.json is not in the manifest" in refused(folder)
    (folder / "card.json").unlink()
    (folder / "sealed.json").unlink()
    assert "not in the manifest" in refused(folder)


def test_a_passphrase_opens_it_too(tmp_path):
    phrase = tmp_path / "phrase"
    phrase.touch(0o600)
    phrase.write_text("correct horse battery\nnot this line\n")
    make_release(tmp_path / "heart-1", to=SealTo(passphrases=(read_passphrase(phrase),)))
    release = read_release(tmp_path / "heart-1", SIGNERS, opener=read_opener([], [phrase]))
    assert release.files["model.safetensors"] == model_bytes()
    wrong = Opener(passphrases=(b"correct horse batterz",))
    assert "none of the keys or passphrases" in refused(tmp_path / "heart-1", wrong)


@pytest.mark.parametrize("text", ["", "short\n", "eleven chars"[:11], b"\xff" * 20])
def test_a_passphrase_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "phrase"
    path.touch(0o600)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError):
        read_passphrase(path)


def test_secrets_are_their_owners_and_keys_of_their_kind(tmp_path):
    recipient = make_recipient("ward", tmp_path)
    assert read_recipient(tmp_path / "ward.pub") == recipient
    assert (
        read_opener([tmp_path / "ward.key"]).keys[0]
        not in repr(read_opener([tmp_path / "ward.key"])).encode()
    )
    with pytest.raises(UserError, match="no private key that opens"):
        read_opener([tmp_path / "ward.pub"])
    with pytest.raises(UserError, match="no public key"):
        read_recipient(tmp_path / "ward.key")
    with pytest.raises(UserError, match="not replaced"):
        make_recipient("ward", tmp_path)
    (tmp_path / "ward.key").chmod(0o640)
    with pytest.raises(UserError, match="wider than 0600"):
        read_opener([tmp_path / "ward.key"])


def test_the_program_signs_and_verifies_what_it_can_open(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["keys", "recipient", "ward"]) == 0
    assert run(["keys", "signer", "dora"]) == 0
    to = SealTo((read_recipient(tmp_path / "ward.pub"),))
    make_release(tmp_path / "heart-1", to=to)
    write_signers(tmp_path / "signers.json")
    assert run(["release", "sign", "heart-1", "--key", "dora.key"]) == 1
    opened = ("--decrypt-with", "ward.key")
    assert run(["release", "sign", "heart-1", "--key", "dora.key", *opened]) == 0
    assert run(["verify", "heart-1", "--signers", "signers.json"]) == 1
    capsys.readouterr()
    assert run(["verify", "heart-1", "--signers", "signers.json", *opened]) == 0
    assert "1 key that the policy does not have" in capsys.readouterr().out
    assert run(["release", "open", "heart-1", "--to", "look/here", *opened]) == 0
    assert run(["verify", "look/here", "--signers", "signers.json"]) == 0
    assert (tmp_path / "look/here/card.html").read_bytes().startswith(b"<!doctype html>")
    for place in ("look/here", "look/there", "heart-1/x", "beside"):  # not among releases
        assert run(["release", "open", "heart-1", "--to", place, *opened]) == 2
    capsys.readouterr()
    assert run(["keys", "show", "ward.key", "ward.pub"]) == 0
    shown = capsys.readouterr().out.split("\n")
    assert shown[1:3] == shown[4:6]  # the same fingerprint
