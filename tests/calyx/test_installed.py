"""What is installed is one hash, and a manifest allows it or does not."""

import json

import pytest

from calyx import installed, manifest
from calyx.errors import UserError
from calyx.secagg.keys import identity_of

PRIVATE = bytes(range(32))


def test_the_code_hash_covers_names_and_bytes_of_every_file(tmp_path, monkeypatch):
    package = tmp_path / "calyx_probe"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(installed, "PACKAGES", ("calyx_probe",))
    first = installed.code_hash()
    assert installed.code_hash() == first
    (package / "notes.txt").write_text("not code")
    assert installed.code_hash() == first
    (package / "a.py").write_text("x = 2\n")
    second = installed.code_hash()
    (package / "a.py").rename(package / "b.py")
    third = installed.code_hash()
    assert len({first, second, third}) == 3


def test_a_bundle_holds_the_hash_and_no_code():
    data = installed.bundle()
    assert installed.code_hash().encode()[:8] in data or len(data) < 3000
    assert b"def on_train" not in data
    assert len(installed.bundle_hash()) == 64


def test_a_manifest_of_this_code_is_accepted(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(manifest.write_manifest(3, PRIVATE))
    found = manifest.read_manifest(path, identity_of(PRIVATE))
    assert (found.version, found.code) == (3, installed.code_hash())
    manifest.check_installed(found)


def test_a_changed_file_is_found(tmp_path, monkeypatch):
    path = tmp_path / "m.json"
    path.write_text(manifest.write_manifest(1, PRIVATE))
    found = manifest.read_manifest(path, identity_of(PRIVATE))
    monkeypatch.setattr(manifest, "code_hash", lambda: "0" * 64)
    with pytest.raises(UserError, match="not what manifest 1 allows"):
        manifest.check_installed(found)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"version": 0},
        {"code": "0" * 64},
        {"signature": "00" * 64},
        {"signature": "zz"},
        {"more": 1},
        None,
    ],
)
def test_an_altered_manifest_is_refused(tmp_path, change):
    path = tmp_path / "m.json"
    value = json.loads(manifest.write_manifest(1, PRIVATE))
    path.write_text("[1" if change is None else json.dumps(value | change))
    with pytest.raises(UserError, match="no manifest"):
        manifest.read_manifest(path, identity_of(PRIVATE))


def test_a_manifest_of_another_consortium_is_refused(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(manifest.write_manifest(1, PRIVATE))
    with pytest.raises(UserError, match="no manifest"):
        manifest.read_manifest(path, identity_of(bytes(32)))
