"""A release is what its signers signed, to the byte, or it is refused in one sentence."""

import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.releases import PRIVATE, SIGNERS, make_release, model_bytes, rewrite

from calyx.errors import UserError
from calyx.releases.manifest import Unverified, read_manifest
from calyx.releases.reading import check_release, read_release
from calyx.releases.signers import Signers, sign_manifest
from calyx.secagg.keys import identity_of, sign


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("releases") / "heart-1"
    make_release(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the release, to be changed."""
    return shutil.copytree(made, tmp_path / "heart-1")


def refused(folder, signers=SIGNERS, **asked):
    with pytest.raises(Unverified) as caught:
        read_release(folder, signers, **asked)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(str(folder))
    return sentence


def test_a_release_is_read_as_it_was_made(made):
    release = read_release(made, SIGNERS)
    assert (release.manifest.name, release.manifest.version, release.manifest.parent) == (
        "heart",
        1,
        None,
    )
    assert release.signed_by == ("anna", "bela")
    assert release.files["model.safetensors"] == model_bytes()
    assert {path.name: path.read_bytes() for path in made.iterdir()} == dict(release.files) | {
        name: (made / name).read_bytes() for name in ("manifest.json", "manifest.sig")
    }


FILES = (
    "card.html",
    "card.json",
    "manifest.json",
    "manifest.sig",
    "model.safetensors",
    "sbom.json",
)


@given(st.sampled_from(FILES), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_one_byte_changed_anywhere_is_refused(folder, name, place, change):
    data = bytearray((folder / name).read_bytes())
    whole = bytes(data)
    data[int(place * len(data))] ^= change
    (folder / name).write_bytes(data)
    refused(folder)
    (folder / name).write_bytes(whole)
    check_release(folder, SIGNERS)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "change", [lambda d: d + b"\n", lambda d: d[:-1], lambda d: b"", lambda d: d + d]
)
def test_a_file_that_is_longer_or_shorter_is_refused(folder, name, change):
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    refused(folder)


def link(path):
    os.replace(path, path.parent.parent / "elsewhere")
    path.symlink_to("../elsewhere")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def folder_of(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("become", [link, pipe, folder_of, os.unlink])
def test_what_is_no_plain_file_is_refused(folder, name, become):
    """It has the signed content, where a link leads: who made it chose where, and may choose again."""
    become(folder / name)
    assert name in refused(folder) or name == "manifest.sig"


@pytest.mark.parametrize(
    "stranger", ["notes.txt", "Card.json", "cаrd.json", ".hidden", "manifest.json.part"]
)
def test_a_file_that_nobody_signed_is_refused(folder, stranger):
    (folder / stranger).write_bytes((folder / "card.json").read_bytes())
    sentence = refused(folder)
    assert "take it out" in sentence
    assert sentence.isascii()


def test_an_unsigned_release_is_refused_and_says_so(tmp_path):
    make_release(tmp_path / "heart-1", signed_by=())
    assert "It is not signed: 2 of 3 signers must" in refused(tmp_path / "heart-1")


def test_too_few_signers_are_named_with_who_is_missing(tmp_path):
    make_release(tmp_path / "heart-1", signed_by=("bela",))
    sentence = refused(tmp_path / "heart-1")
    assert "signed by bela, and 2 of 3 signers" in sentence
    assert "ask anna and cleo" in sentence


def test_an_unknown_signer_counts_for_nothing_and_is_told(made):
    others = Signers(1, {"bela": SIGNERS.keys["bela"]})
    release = read_release(made, others)
    assert release.signed_by == ("bela",)
    assert release.signed.unknown == (SIGNERS.keys["anna"].hex(),)
    assert "2 unknown" in refused(made, Signers(1, {"cleo": SIGNERS.keys["cleo"]}))


def test_signatures_of_another_purpose_or_content_do_not_count(folder):
    manifest = (folder / "manifest.json").read_bytes()
    for forged in (
        sign(PRIVATE["anna"], "manifest", manifest.hex()),
        sign(PRIVATE["anna"], "release", "another"),
        bytes(64),
    ):
        key = identity_of(PRIVATE["anna"]).hex()
        text = f'{{"format":"calyx-signatures/1","signatures":{{"{key}":"{forged.hex()}"}}}}'
        (folder / "manifest.sig").write_text(text)
        assert "does not fit" in refused(folder)


def test_one_signer_counts_once_however_often_it_signs(made):
    manifest = (made / "manifest.json").read_bytes()
    once = sign_manifest(PRIVATE["anna"], manifest, b"")
    assert sign_manifest(PRIVATE["anna"], manifest, once) == once
    with pytest.raises(ValueError, match="same key"):
        Signers(2, {"anna": SIGNERS.keys["anna"], "hanna": SIGNERS.keys["anna"]})
    with pytest.raises(ValueError, match="3 signatures of 2 keys"):
        Signers(3, {name: SIGNERS.keys[name] for name in ("anna", "bela")})


def test_an_older_version_than_was_seen_is_refused(made):
    assert "no way back" in refused(made, at_least=2)


def test_a_release_of_other_code_is_refused_but_within_a_chain(tmp_path):
    make_release(tmp_path / "heart-1", code="0" * 64)
    assert "another" in refused(tmp_path / "heart-1")
    assert check_release(tmp_path / "heart-1", SIGNERS).signed.names == ("anna", "bela")


def test_signed_nonsense_is_refused(folder, tmp_path):
    """Whoever signs may have been tricked into it: what does not fit together is no release."""
    make_release(tmp_path / "other" / "heart-1", seed=1)
    rewrite(folder, "anna", "bela", created="2026-01-01T00:00:00Z")
    assert "card.json is of another release" in refused(folder)
    shutil.copy(tmp_path / "other/heart-1/card.json", folder)
    other = read_manifest((tmp_path / "other/heart-1/manifest.json").read_bytes())
    rewrite(folder, "anna", "bela", created=other.created)
    assert "another model" in refused(folder)
    (folder / "card.json").write_text("{}")
    rewrite(folder, "anna", "bela")
    assert "card.json is damaged" in refused(folder)


def test_what_is_no_folder_is_the_users_mistake(tmp_path):
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(UserError, match="name the folder of a release"):
            read_release(tmp_path / name, SIGNERS)
    assert "manifest.json is missing" in refused(tmp_path)
