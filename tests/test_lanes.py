"""How the suite is divided: what starts the program is of the lane e2e, and long files begin first."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.spreading import LENGTHS, LongestFirst

TESTS = Path(__file__).parent
# What trains by the program, or starts a process or a machine of it.
STARTS = re.compile(
    r"\b(run_here|run_apart|calyx_command)\b|\b(Fleet|Hospitals)\(|\"simulate\"|simulate\.main"
)


def unmarked(text):
    """What a module of tests starts, if nothing in it bears the mark."""
    found = STARTS.search(text)
    return found[0] if found and "mark.e2e" not in text else None


def test_a_module_that_starts_the_program_bears_the_mark_e2e():
    modules = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
    found = {str(path.relative_to(TESTS)): unmarked(path.read_text()) for path in modules}
    assert {path: word for path, word in found.items() if word} == {}


@pytest.mark.parametrize(
    "line", ["run_here(folder, 'audit')", 'run(["simulate", *words])', "with Fleet(a, b) as made:"]
)
def test_one_without_it_is_found(line):
    assert unmarked(line)
    assert unmarked(f"pytestmark = pytest.mark.e2e\n{line}") is None


class Process:
    """A process of xdist, as the scheduler sees it; it notes which tests it was given."""

    def __init__(self, name):
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.given = []

    def send_runtest_some(self, indices):
        self.given += indices

    def shutdown(self):
        self.shutting_down = True


def spread(lengths, processes=2, tests=None):
    """Files of so many seconds (and of two tests, or so many), handed out once; how, and to whom."""
    config = SimpleNamespace(
        getvalue=lambda name: ["popen"] * processes, option=SimpleNamespace(loadscopereorder=False)
    )
    scheduler = LongestFirst(config)
    scheduler._lengths = lengths
    nodes = [Process(str(number)) for number in range(processes)]
    ids = [f"{file}::{n}" for file in lengths for n in range((tests or {}).get(file, 2))]
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, ids)
    scheduler.schedule()

    def files(node):
        return list(dict.fromkeys(ids[i].partition("::")[0] for i in node.given))

    def end(node, count=1):
        for index in node.given[:count]:
            scheduler.mark_test_complete(node, index)

    return nodes, files, end


def test_the_longest_files_begin_first():
    nodes, files, _ = spread({"short": 1, "long": 9, "longer": 20, "shortest": 0.5})
    assert [files(node) for node in nodes] == [["longer"], ["long"]]


def test_a_file_is_chosen_when_the_last_test_of_the_one_before_begins():
    nodes, files, end = spread({"a": 9, "b": 8, "c": 7, "d": 1})
    end(nodes[1])
    assert [files(node) for node in nodes] == [["a"], ["b", "c"]]


def test_behind_one_long_test_the_shortest_file_waits():
    nodes, files, _ = spread({"waits": 90, "b": 80, "c": 7, "d": 1}, tests={"waits": 1})
    assert [files(node) for node in nodes] == [["waits", "d"], ["b"]]


def test_only_two_deployments_and_one_ray_run_at_once():
    lengths = {"e2e/test_deploy_six.py": 90, "e2e/test_deploy.py": 80, "e2e/test_deploy_c.py": 70}
    lengths |= {"e2e/test_ray.py": 60, "e2e/test_flwr_run.py": 50, "other": 1, "more": 0.5}
    nodes, files, end = spread(lengths, processes=4)
    names = [files(node)[0] for node in nodes]
    assert names == ["e2e/test_deploy_six.py", "e2e/test_deploy.py", "e2e/test_ray.py", "other"]
    end(nodes[0])  # its second test still runs
    assert files(nodes[0])[1:] == ["more"]


def test_what_is_known_of_files_is_of_files_that_are_there():
    known = LongestFirst(SimpleNamespace(getvalue=lambda name: ["popen"]))._lengths
    assert [file for file in known if not (LENGTHS.parents[1] / file).is_file()] == []
