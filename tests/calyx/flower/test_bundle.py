"""What is installed is one hash, and a manifest allows it or does not."""

import hashlib
import importlib
import json
import sys

import pytest

from calyx.errors import UserError
from calyx.flower import bundle as installed
from calyx.secagg.keys import identity_of, sign
from calyx.trust import manifest, measured
from calyx.trust.measured import Contents, Importer, digest_of, may_load

PRIVATE = bytes(range(32))
A, B = "a" * 64, "b" * 64


def test_the_code_hash_is_over_what_lies_beside_this_very_code():
    files = measured.contents().digests
    for name in ("calyx/fleet/site.py", "conf/config.yaml", "calyx/cli/new/template/task.py.tmpl"):
        assert files[name] == hashlib.sha256((measured.ROOT / name).read_bytes()).hexdigest()
    assert installed.code_hash() == digest_of(files)


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
    assert found.packages == ()
    manifest.check_installed(found)


@pytest.fixture
def laid(monkeypatch):
    """Say what lies in our packages: names, and what has no place there."""

    def lay(files, *strangers):
        made = Contents(dict.fromkeys(files, "0" * 64) | dict(files), {}, strangers)
        monkeypatch.setattr(manifest, "contents", lambda: made)

    return lay


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"client/a.py": "1" * 64, "client/b.py": B}, r" \(client/a.py has changed\): install"),
        ({"client/a.py": A}, r" \(client/b.py is missing\): install"),
        (
            {"client/a.py": A, "client/b.py": B, "client/\u0430.py": A},
            r"client/\\u0430.py is not in it",
        ),
        ({"client/a.py": A, "client/b.py": B, "conf/c.yaml": A}, r" \(conf/c.yaml is not in it\)"),
        (
            {f"client/{n}.py": A for n in "cdefg"},
            r" \(client/a.py is missing, client/b.py is missing, client/c.py is not in it, 4 more\)",
        ),
    ],
)
def test_what_differs_from_a_manifest_is_named(tmp_path, laid, files, words):
    path = tmp_path / "m.json"
    laid({"client/a.py": A, "client/b.py": B})
    path.write_text(manifest.write_manifest(1, PRIVATE))
    found = manifest.read_manifest(path, identity_of(PRIVATE))
    laid(files)
    with pytest.raises(UserError, match=f"not what manifest 1 allows .*{words}"):
        manifest.check_installed(found)


def test_what_has_no_place_in_a_package_is_refused_with_its_name_and_is_not_signed(tmp_path, laid):
    path = tmp_path / "m.json"
    laid({"client/a.py": A})
    path.write_text(manifest.write_manifest(1, PRIVATE))
    found = manifest.read_manifest(path, identity_of(PRIVATE))
    laid({"client/a.py": A}, "client/a.so is compiled code", "client/c is a link")
    with pytest.raises(UserError, match=r"signed: client/a.so is compiled code, and 1 more"):
        manifest.check_installed(found)
    with pytest.raises(UserError, match=r"No manifest is signed: client/a.so is compiled code"):
        manifest.write_manifest(2, PRIVATE)


def test_a_manifest_of_before_names_no_files_and_is_read(tmp_path):
    code = "0" * 64
    value = {"version": 1, "code": code}
    signature = sign(PRIVATE, "manifest", 1, code).hex()
    (tmp_path / "m.json").write_text(json.dumps(value | {"signature": signature}))
    found = manifest.read_manifest(tmp_path / "m.json", identity_of(PRIVATE))
    with pytest.raises(UserError, match=r"manifest 1 allows \(0{16}…\): install"):
        manifest.check_installed(found)


@pytest.fixture
def harvest(tmp_path, monkeypatch):
    """Another package, with a task of its own; another test's, of the same name, is forgotten."""
    sys.modules.pop("harvest", None)
    folder = tmp_path / "path" / "harvest"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_bytes(b"")
    monkeypatch.syspath_prepend(folder.parent)
    yield folder
    sys.modules.pop("harvest", None)


def test_a_package_that_the_consortium_names_is_signed_and_compared_too(tmp_path, laid, harvest):
    path = tmp_path / "m.json"
    laid({"client/a.py": A})
    path.write_text(manifest.write_manifest(1, PRIVATE, ["harvest"]))
    found = manifest.read_manifest(path, identity_of(PRIVATE))
    assert found.packages == ("harvest",)
    manifest.check_installed(found)
    (harvest / "__init__.py").write_bytes(b"#")
    with pytest.raises(UserError, match=r"harvest/__init__.py has changed"):
        manifest.check_installed(found)
    (harvest / "__init__.py").unlink()
    with pytest.raises(UserError, match="no package 'harvest' here"):
        manifest.check_installed(found)


def test_in_an_isolated_process_it_is_imported_from_what_was_compared_and_others_are_refused(
    tmp_path, laid, harvest, monkeypatch
):
    importer = Importer()
    monkeypatch.setattr(sys, "meta_path", [importer, *sys.meta_path])
    laid({"client/a.py": A})
    (tmp_path / "m.json").write_text(manifest.write_manifest(1, PRIVATE, ["harvest"]))
    manifest.check_installed(manifest.read_manifest(tmp_path / "m.json", identity_of(PRIVATE)))
    (harvest / "__init__.py").write_bytes(b"raise SystemExit('changed since')")
    assert importlib.import_module("harvest").__file__ == str(harvest / "__init__.py")
    assert may_load("harvest.tasks")
    assert not may_load("wards.tasks")


@pytest.mark.parametrize("name", ["client", "no_such_package", "a.b", "../x", "", "sys"])
def test_a_name_that_is_no_other_package_is_refused(name):
    with pytest.raises(UserError, match=r"no package .* beside Calyx's own"):
        manifest.write_manifest(1, PRIVATE, [name])


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"version": 0},
        {"code": "0" * 64},
        {"signature": "00" * 64},
        {"signature": "zz"},
        {"version": 2**64},
        {"more": 1},
        {"files": {"calyx/fleet/site.py": "0" * 64}},
        {"files": []},
        {"files": {"calyx/fleet/site.py": 7}},
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
