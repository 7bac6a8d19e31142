"""What runs is what was digested, whatever else lies in a package by then."""

import hashlib
import importlib.resources
import importlib.util
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder, SourceFileLoader

import pytest

from calyx.trust import measured
from calyx.trust.measured import Importer, read_packages

NAME = "measured_probe"
SOUND = b"said = 'sound'\n"


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / NAME
    (folder / "pages").mkdir(parents=True)
    (folder / "__init__.py").write_bytes(b"")
    (folder / "training.py").write_bytes(SOUND)
    (folder / "pages" / "page.j2").write_bytes(b"hello")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def read(package):
    return read_packages({NAME: package})


def test_every_file_of_a_package_is_digested_and_all_of_them_are_one_hash(package):
    found = read(package)
    wanted = {
        f"{NAME}/__init__.py": hashlib.sha256(b"").hexdigest(),
        f"{NAME}/pages/page.j2": hashlib.sha256(b"hello").hexdigest(),
        f"{NAME}/training.py": hashlib.sha256(SOUND).hexdigest(),
    }
    assert dict(found.digests) == wanted
    lines = "".join(f"{name}\0{wanted[name]}\n" for name in sorted(wanted))
    assert found.code == hashlib.sha256(lines.encode()).hexdigest()
    assert found.strangers == ()
    (package / "training.py").rename(package / "learning.py")
    assert read(package).code != found.code


def link_to_a_file(package):
    (package / "more.py").symlink_to(package / "training.py")
    return "more.py is a link"


def link_to_a_folder(package):
    (package.parent / "elsewhere").mkdir()
    (package / "more").symlink_to(package.parent / "elsewhere")
    return "more is a link"


def link_called_a_cache(package):
    (package / "__pycache__").symlink_to(package.parent)
    return "__pycache__ is a link"


def extension(package):
    (package / f"training{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    return f"training{EXTENSION_SUFFIXES[0]} is compiled code"


def other_systems_extension(package):
    (package / "training.PYD").write_bytes(b"")
    return "training.PYD is compiled code"


def bytecode(package):
    (package / "more.pyc").write_bytes(b"")
    return "more.pyc is compiled code"


def pipe(package):
    os.mkfifo(package / "more.py")
    return "more.py is no plain file"


def two_lines(package):
    (package / "a\nb.py").write_bytes(b"")
    return "a\nb.py has a name that no file"


def no_utf8(package):
    (package / os.fsdecode(b"\xff.py")).write_bytes(b"")
    return "\udcff.py has a name that no file"


@pytest.mark.parametrize(
    "add",
    [
        link_to_a_file,
        link_to_a_folder,
        link_called_a_cache,
        extension,
        other_systems_extension,
        bytecode,
        pipe,
        two_lines,
        no_utf8,
    ],
)
def test_what_has_no_place_in_a_package_is_named(package, add):
    before, words = read(package), add(package)
    after = read(package)
    (stranger,) = after.strangers
    assert stranger.startswith(f"{NAME}/{words}")
    assert after.code == before.code


def test_a_package_that_is_itself_a_link_is_named(package, tmp_path):
    (tmp_path / "beside").symlink_to(package)
    assert read(tmp_path / "beside").strangers == (f"{NAME} is a link",)


def test_a_cache_is_not_looked_into(package):
    before = read(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "training.cpython-311.pyc").write_bytes(b"x")
    assert read(package) == before


def test_a_file_of_any_kind_is_digested(package):
    before = read(package)
    for name in ("rows.csv", "training", "pages/notes.txt"):
        (package / name).write_text("1\n")
        after = read(package)
        assert after.digests[f"{NAME}/{name}"] == hashlib.sha256(b"1\n").hexdigest()
        assert after.code != before.code
        assert after.strangers == ()
        before = after


def poison_cache(package):
    """Bytecode of other code that fits the source's time and size, as Python asks."""
    path = package / "training.py"
    written = path.stat()
    path.write_bytes(b"said = 'taken'\n")
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
    SourceFileLoader(f"{NAME}.training", str(path)).get_code(f"{NAME}.training")
    path.write_bytes(SOUND)
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))


def put_folder(package):
    (package / "training").mkdir()
    (package / "training" / "__init__.py").write_bytes(b"said = 'taken'\n")


def put_linked_folder(package):
    put_folder(package)
    (package / "training").rename(package.parent / "elsewhere")
    (package / "training").symlink_to(package.parent / "elsewhere")


def change_source(package):
    (package / "training.py").write_bytes(b"said = 'taken'\n")


def delete_source(package):
    (package / "training.py").unlink()


@pytest.fixture
def from_bytes(package):
    """Have the probe imported as our own packages are in `calyx client`."""
    importer = Importer()
    importer.cover({NAME: package}, read(package))
    sys.meta_path.insert(0, importer)
    yield importer
    sys.meta_path.remove(importer)


@pytest.mark.parametrize(
    ("attack", "else_runs"),
    [
        (poison_cache, True),
        (put_folder, True),
        (put_linked_folder, True),
        (change_source, True),
        (delete_source, False),
    ],
)
def test_after_the_look_at_it_only_the_bytes_that_were_seen_are_imported(
    package, from_bytes, attack, else_runs, monkeypatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    attack(package)
    module = importlib.import_module(f"{NAME}.training")
    assert module.said == "sound"
    assert module.__file__ == str(package / "training.py")
    assert module.__loader__.get_source(module.__name__) == SOUND.decode()
    if else_runs:  # Python by itself would have taken the other code
        spec = PathFinder.find_spec(f"{NAME}.training", [str(package)])
        other = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(other)
        assert other.said == "taken"


def test_compiled_code_beside_a_source_is_not_taken_in_its_place(package, from_bytes):
    extension(package)
    assert importlib.import_module(f"{NAME}.training").said == "sound"
    spec = PathFinder.find_spec(f"{NAME}.training", [str(package)])
    assert spec.origin.endswith(EXTENSION_SUFFIXES[0])


@pytest.mark.parametrize("module", ["later", "pages.later", "more", "__pycache__.later"])
def test_what_was_not_there_at_the_look_is_no_module(package, from_bytes, module):
    for folder in (package, package / "pages", package / "more", package / "__pycache__"):
        folder.mkdir(exist_ok=True)
        (folder / "later.py").write_bytes(b"")
    with pytest.raises(
        ModuleNotFoundError, match=module.split(".")[-1] if module[0] != "_" else "__pycache__"
    ):
        importlib.import_module(f"{NAME}.{module}")


def test_a_folder_may_have_no_code_of_its_own(package):
    (package / "models").mkdir()
    (package / "models" / "net.py").write_bytes(SOUND)
    importer = Importer()
    importer.cover({NAME: package}, read(package))
    sys.meta_path.insert(0, importer)
    try:
        assert importlib.import_module(f"{NAME}.models.net").said == "sound"
        page = importlib.resources.files(f"{NAME}.pages").joinpath("page.j2")
        assert page.read_text() == "hello"
    finally:
        sys.meta_path.remove(importer)


def test_a_package_may_be_a_single_file(tmp_path, package):
    path = tmp_path / "measured_single.py"
    path.write_bytes(SOUND)
    importer = Importer()
    importer.cover({"measured_single": path}, read_packages({"measured_single": path}))
    path.unlink()
    spec = importer.find_spec("measured_single", None)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.said == "sound"
    with pytest.raises(ModuleNotFoundError):
        importer.find_spec("measured_single.more", [])
    assert importer.find_spec("json", None) is None


def test_a_sealed_importer_lets_in_tasks_of_its_own_packages_only(from_bytes):
    assert measured.may_load("harvest.tasks")
    from_bytes.is_sealed = True
    assert measured.may_load(f"{NAME}.training")
    assert not measured.may_load("harvest.tasks")
