"""Manifests, signatures, policies and headers of strangers: understood, or refused in one sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.config.section import canonical_json
from calyx.errors import UserError
from calyx.releases.manifest import Entry, Manifest, Unverified, manifest_bytes, read_manifest
from calyx.releases.sealing import Opener, Sealed
from calyx.releases.signers import list_keys, read_signers

ENTRY = {"sha256": "0" * 64, "bytes": 3}
VALUE = {
    "format": "calyx-release/1",
    "name": "heart",
    "version": 1,
    "parent": None,
    "created": "2026-01-31T12:00:00Z",
    "files": {"model.safetensors": ENTRY},
}
SIGNED = {"format": "calyx-signatures/1", "signatures": {}}
HEADER = {"format": "calyx-sealed/1", "keys": [], "passphrases": []}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
SHAPES = st.sampled_from([VALUE, SIGNED, HEADER])


@st.composite
def texts(draw):
    """Bytes of any kind, JSON of any kind, and JSON that is right but for one field."""
    if draw(st.booleans()):
        return draw(st.binary())
    value = draw(JSON)
    if draw(st.booleans()):
        shape = draw(SHAPES)
        value = shape | {draw(st.sampled_from(sorted(shape)) | st.text()): value}
    return json.dumps(value).encode()


@given(texts())
def test_whatever_a_stranger_wrote_is_refused_in_a_sentence(data):
    for read in (
        read_manifest,
        lambda data: list_keys(b"manifest", data or b"0"),
        lambda data: Sealed(data, b"manifest", Opener()),
    ):
        with pytest.raises(Unverified) as caught:
            read(data)
        assert str(caught.value).isprintable()


@given(texts())
def test_a_policy_of_a_stranger_is_refused_in_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "signers.json"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_signers(path)
    assert str(caught.value).isprintable()


def test_a_manifest_is_spelt_in_one_way():
    """Oracle: for names and values in ASCII, sorted keys without spaces are RFC 8785's spelling."""
    data = json.dumps(VALUE, sort_keys=True, separators=(",", ":")).encode()
    assert read_manifest(data).files == {"model.safetensors": Entry(**ENTRY)}
    assert manifest_bytes(read_manifest(data)) == data
    for other in (
        json.dumps(VALUE).encode(),
        data + b"\n",
        data.replace(b'"bytes":3', b'"bytes":3.0'),
    ):
        with pytest.raises(Unverified):
            read_manifest(other)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "calyx-release/2"),
        ("name", "Heart"),
        ("name", ""),
        ("version", 0),
        ("version", 2),  # without a parent
        ("version", 2**53),
        ("version", True),
        ("version", "1"),
        ("parent", "0" * 64),  # of a first release
        ("parent", "0" * 63),
        ("created", "yesterday"),
        ("created", "2026-01-31T12:00:00+00:00"),
        ("files", {}),
        ("files", {"../model": ENTRY}),
        ("files", {"/model": ENTRY}),
        ("files", {"a/b": ENTRY}),
        ("files", {"Model": ENTRY}),
        ("files", {".hidden": ENTRY}),
        ("files", {"mödel": ENTRY}),
        ("files", {"a\n": ENTRY}),
        ("files", {"manifest.json": ENTRY}),
        ("files", {"manifest.sig": ENTRY}),
        ("files", {"sealed.json": ENTRY}),
        ("files", {"model.sealed": ENTRY}),
        ("files", {"a": ENTRY | {"bytes": -1}}),
        ("files", {"a": ENTRY | {"bytes": 0.5}}),
        ("files", {"a": ENTRY | {"sha256": "F" * 64}}),
        ("files", {"a": ENTRY | {"mode": 0o644}}),
        ("files", {f"f{n}": ENTRY for n in range(1001)}),
        ("signers", {}),
    ],
)
def test_a_field_that_no_release_has_is_refused(field, value):
    with pytest.raises(Unverified, match="no manifest of a release"):
        read_manifest(canonical_json(VALUE | {field: value}).encode())


def test_a_manifest_of_a_later_release_names_its_parent():
    later = Manifest(**VALUE | {"version": 2, "parent": "0" * 64, "files": {"a": Entry(**ENTRY)}})
    assert read_manifest(manifest_bytes(later)) == later
