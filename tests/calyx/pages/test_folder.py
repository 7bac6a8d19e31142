"""What a run folder must be, and what is said of one that is damaged."""

import json
from pathlib import Path

import pytest

from calyx.errors import UserError
from calyx.files import plain as files
from calyx.pages.folder import read_run
from calyx.pages.page import write_report

CONFIG = "task: {name: digits}\nstrategy: {name: fedavg}\nrounds: 9\nseed: 1\n"
ROUND = {
    "train_loss": 1.0,
    "val_loss": 0.5,
    "val_accuracy": 0.25,
    "cohort": ["a", "b"],
    "replies": 2,
    "dropped": [],
    "bytes_up": 3,
    "bytes_down": 4,
    "seconds": 1,
}
SUMMARY = {"task": "t", "strategy": "s", "seed": 1, "rounds": 2, "stopped_because": "rounds"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of two rounds, finished."""
    rounds = "".join(json.dumps({"round": number, **ROUND}) + "\n" for number in (1, 2))
    evaluate = {"kind": "evaluate", "round": 1, "val_loss": 1.0, "val_accuracy": 0.5}
    clients = "".join(json.dumps({"client": name, **evaluate}) + "\n" for name in "ab")
    event = {"time": "now", "event": "finding", "severity": "info", "message": "m", "more": [1]}
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "rounds.jsonl").write_text(rounds)
    (tmp_path / "clients.jsonl").write_text(clients)
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n")
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    return tmp_path


def test_figures_of_a_folder_are_read(folder: Path) -> None:
    run = read_run(folder)
    assert [row.round for row in run.rounds] == [1, 2]
    assert run.rounds[0].score() == 0.25
    assert run.clients.val_score == {1: {"a": 0.5, "b": 0.5}}
    assert run.events[0].client is None
    assert run.summary is not None
    assert run.summary.baselines is None


def test_round_that_was_repeated_counts_once(folder: Path) -> None:
    with (folder / "rounds.jsonl").open("a") as file:
        file.write(json.dumps({"round": 2, **ROUND, "val_loss": 0.125}) + "\n")
    assert [row.figure("val_loss") for row in read_run(folder).rounds] == [0.5, 0.125]


@pytest.mark.parametrize(
    ("name", "line", "text"),
    [
        ("rounds.jsonl", 1, '{"round": NaN}'),
        ("rounds.jsonl", 2, '{"round": 2}'),
        ("rounds.jsonl", 2, "not json"),
        ("rounds.jsonl", 2, json.dumps({"round": 2, **ROUND, "val_accuracy": 1.5})),
        ("rounds.jsonl", 2, json.dumps({"round": "2", **ROUND})),
        ("clients.jsonl", 1, '{"kind": "guess"}'),
        ("clients.jsonl", 2, ""),
        ("events.jsonl", 1, "[]"),
        ("events.jsonl", 1, "\udcff"),
    ],
)
def test_damaged_line_is_named(folder: Path, name: str, line: int, text: str) -> None:
    lines = (folder / name).read_text().splitlines()
    lines[line - 1] = text
    (folder / name).write_text("\n".join(lines) + "\n", errors="surrogateescape")
    with pytest.raises(UserError) as caught:
        write_report(folder)
    assert str(caught.value).startswith(f"{folder / name}, line {line}, is damaged (")
    assert "\n" not in str(caught.value)


def test_half_written_last_line_of_an_unfinished_run_is_left_out(folder: Path) -> None:
    (folder / "summary.json").unlink()
    with (folder / "rounds.jsonl").open("a") as file:
        file.write('{"round": 3, "train_')
    assert len(read_run(folder).rounds) == 2


def test_half_written_last_line_of_a_finished_run_is_damage(folder: Path) -> None:
    with (folder / "rounds.jsonl").open("a") as file:
        file.write('{"round": 3, "train_')
    with pytest.raises(UserError, match=r"rounds\.jsonl, line 3, is damaged"):
        read_run(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "task: [",
        "\x00",
        "task: {name: 3}\nstrategy: {name: s}",
        'task: {name: "\\ud800"}\nstrategy: {name: s}',
        "a: &a [*a]",
    ],
)
def test_damaged_config_is_named(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml.* is damaged \(") as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)


def test_config_that_is_not_text_is_named_with_its_line(folder: Path) -> None:
    (folder / "config.yaml").write_bytes(b"task:\n  name: \xff\n")
    with pytest.raises(UserError, match=r"config\.yaml, line 2, is damaged \(not UTF-8\)"):
        read_run(folder)


def test_damaged_summary_is_named(folder: Path) -> None:
    (folder / "summary.json").write_text('{"task": "digits"')
    with pytest.raises(UserError, match=r"summary\.json is damaged"):
        read_run(folder)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"test_accuracy": -0.5}, "an accuracy is below 0"),
        ({"baselines": {"local_mean": -1}}, "an accuracy is below 0"),
        ({"test_confusion": [[1, -2], [3, 4]]}, "greater than or equal to 0"),
        ({"rounds": 10**400}, "less than 9223372036854775808"),
        ({"preprocessing": ["\x1b[2J"]}, "a valid string"),
        ({"cv": {"k": 2, "mean": 0.5, "sd": 0.1, "folds": [-0.1]}}, "an accuracy is below 0"),
    ],
)
def test_figures_that_no_run_has_are_damage(folder: Path, figures, said) -> None:
    (folder / "summary.json").write_text(json.dumps(SUMMARY | figures))
    with pytest.raises(UserError, match=rf"summary\.json is damaged \(.*{said}"):
        write_report(folder)


def test_keys_that_stand_twice_are_damage(folder: Path) -> None:
    text = json.dumps(SUMMARY).replace('"rounds": 2', '"rounds": 2, "rounds": 3')
    (folder / "summary.json").write_text(text)
    with pytest.raises(UserError, match=r"summary\.json is damaged \(a key stands twice\)"):
        read_run(folder)


def test_a_line_that_has_no_end_is_damage(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 10)
    with pytest.raises(UserError, match=r"rounds\.jsonl, line 1: more than 10 bytes"):
        read_run(folder)
    monkeypatch.setattr(files, "MOST_LINES", 1)
    with pytest.raises(ValueError, match=r"rounds\.jsonl: more than 1 lines"):
        files.read_lines(folder / "rounds.jsonl")


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_folder_that_is_no_run_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"is not a run folder: it has no config\.yaml"):
        write_report(tmp_path / name)


def test_a_sweep_is_no_run_and_its_runs_are_named(tmp_path: Path) -> None:
    (tmp_path / "sweep.csv").write_text("job\n")
    with pytest.raises(
        UserError, match=r"is a sweep, with a report of its own; name its runs: .*0"
    ):
        write_report(tmp_path)


def test_damage_leaves_the_report_of_before_untouched(folder: Path) -> None:
    before = write_report(folder).read_bytes()
    (folder / "summary.json").write_text("{}")
    with pytest.raises(UserError):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before


def test_summary_that_counts_other_rounds_is_pointed_out(folder: Path) -> None:
    (folder / "rounds.jsonl").write_text(json.dumps({"round": 1, **ROUND}) + "\n")
    page = write_report(folder).read_text()
    assert "The summary speaks of 2 rounds, rounds.jsonl has 1" in page


def test_run_without_optional_files_and_baselines_renders(folder: Path) -> None:
    (folder / "clients.jsonl").unlink()
    (folder / "events.jsonl").unlink()
    page = write_report(folder).read_text()
    assert "Not measured" in page
    assert "This run holds no figures of single clients." in page
    assert "Nothing was refused, repeated or found." in page


def test_null_figures_leave_gaps(folder: Path) -> None:
    nulls = {"train_loss": None, "val_loss": None, "val_accuracy": None}
    rows = [{"round": 1, **ROUND, **nulls}, {"round": 2, **ROUND, "train_loss": None}]
    baselines = {"local_mean": 0.5, "federated": 0.5, "pooled": None, "local": {"a": None}}
    empty = {"test_accuracy": None, "model_sha256": None, "best_round": None}
    (folder / "rounds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "summary.json").write_text(json.dumps(SUMMARY | empty | {"baselines": baselines}))
    assert "None" not in write_report(folder).read_text()


def test_same_folder_gives_the_same_bytes_and_leaves_nothing_beside(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert {path.name for path in folder.iterdir()} == before | {"report.html"}
