"""The report of a synthetic run; `python test_page.py FOLDER [ROUNDS CLIENTS]` writes one."""

import json
import math
import random
import re
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from calyx.pages.page import MOST_BYTES, write_report

VERSIONS = {"calyx": "0.1.0", "flwr": "1.41.0", "torch": "2.12.0", "python": "3.11.9"}


@dataclass(frozen=True)
class Shape:
    """What a synthetic run looks like."""

    rounds: int = 40
    clients: int = 10
    classes: int = 10
    events: int = 14
    finished: bool = True
    baselines: bool = True
    prefix: str = "client-"


def make_run(folder: Path, shape: Shape = Shape()) -> Path:
    """Write a realistic run folder: skewed labels, noisy curves, a few dropped clients."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    names = [f"{shape.prefix}{index:02d}" for index in range(shape.clients)]
    data = [_data(rng, name, shape.classes) for name in names]
    rounds = [_round(rng, number, names) for number in range(1, shape.rounds + 1)]
    for so_far, row in enumerate(rounds, start=1):
        row["best_round"] = min(rounds[:so_far], key=lambda one: one["val_loss"])["round"]
    best = rounds[-1]["best_round"] if rounds else None
    clients = [*data, *_clients(rng, rounds, names)]
    if shape.finished:
        clients += [_test(rng, row, best) for row in data]
        (folder / "summary.json").write_text(json.dumps(_summary(rng, shape, rounds, best)))
    (folder / "config.yaml").write_text(_config(shape))
    write_lines(folder / "rounds.jsonl", rounds)
    write_lines(folder / "clients.jsonl", clients)
    write_lines(folder / "events.jsonl", [_event(rng, names, i) for i in range(shape.events)])
    return folder


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Strict JSON lines."""
    path.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def _config(shape: Shape) -> str:
    return (
        f"task:\n  name: digits\n  num_clients: {shape.clients}\n  data_dir: null\n"
        "strategy:\n  name: fedavg\n  server: {}\n  local: {}\n"
        "training:\n  epochs: 2\n  batch_size: 32\n  lr: 0.1\n  optimizer: sgd\n"
        "preprocessing:\n  name: standardize\nprivacy:\n  name: none\nengine:\n  name: embedded\n"
        f"rounds: {max(shape.rounds, 50)}\nseed: 42\n"
        "stopping:\n  monitor: val_loss\n  mode: min\n  patience: 8\n"
    )


def _data(rng: random.Random, name: str, classes: int) -> dict[str, Any]:
    weights = [rng.gammavariate(0.5, 1) for _ in range(classes)]
    counts = [round(100 * w / sum(weights)) for w in weights]
    total = sum(counts)
    rows = {"train": total - 2 * (total // 5), "validation": total // 5, "test": total // 5}
    return {"kind": "data", "round": 0, "client": name, "rows": rows, "label_counts": counts}


def _round(rng: random.Random, number: int, names: list[str]) -> dict[str, Any]:
    fall = math.exp(-number / 7)
    dropped = [name for name in names if rng.random() < 0.02]
    overfit = 0.004 * max(0, number - 28)
    return {
        "round": number,
        "train_loss": 0.06 + 2.2 * fall + rng.uniform(0, 0.03),
        "val_loss": 0.22 + 2.0 * fall + overfit + rng.uniform(0, 0.04),
        "val_accuracy": min(1.0, 0.945 - 0.8 * fall + rng.uniform(-0.012, 0.012)),
        "cohort": names,
        "replies": len(names) - len(dropped),
        "dropped": dropped,
        "bytes_up": 38_000 * len(names),
        "bytes_down": 39_500 * len(names),
        "seconds": 0.2 + rng.random() / 10,
    }


def _clients(
    rng: random.Random, rounds: list[dict[str, Any]], names: list[str]
) -> list[dict[str, Any]]:
    ease = {name: rng.gauss(0, 0.04) for name in names}
    rows: list[dict[str, Any]] = []
    for one in rounds:
        for name in names:
            accuracy = min(1.0, max(0.0, one["val_accuracy"] + ease[name] + rng.gauss(0, 0.02)))
            common = {"round": one["round"], "client": name}
            train = {"kind": "train", "train_loss": one["train_loss"], "val_loss": None}
            rows.append(common | train | {"epochs": 2, "num_examples": 60, "seconds": 0.1})
            evaluate = {"kind": "evaluate", "val_loss": one["val_loss"], "val_accuracy": accuracy}
            rows.append(common | evaluate | {"num_examples": 20})
    return rows


def _test(rng: random.Random, data: dict[str, Any], best: int | None) -> dict[str, Any]:
    figures = {"test_loss": 0.3, "test_accuracy": min(1.0, rng.gauss(0.94, 0.03))}
    who = {"kind": "test", "round": best or 0, "client": data["client"]}
    return who | figures | {"num_examples": data["rows"]["test"]}


def _summary(
    rng: random.Random, shape: Shape, rounds: list[dict[str, Any]], best: int | None
) -> dict[str, Any]:
    figures = ("val_loss", "val_accuracy")
    chosen = next((row for row in rounds if row["round"] == best), dict.fromkeys(figures))
    last = rounds[-1] if rounds else dict.fromkeys((*figures, "train_loss"))
    return {
        "task": "digits",
        "strategy": "fedavg",
        "seed": 42,
        "rounds": len(rounds),
        "stopped_because": "no better val_loss in 8 rounds",
        "best_round": best,
        **{f"best_{name}": chosen[name] for name in figures},
        **{f"final_{name}": last[name] for name in (*figures, "train_loss")},
        "test_loss": 0.21,
        "test_accuracy": 0.942,
        "num_clients": shape.clients,
        "device": "cpu",
        "baselines": _baselines(rng, shape) if shape.baselines else None,
        "model_sha256": "5f3a9c" * 10 + "beef",
        "privacy": "none",
        "engine": "embedded",
        **{
            name: sum(row[name] for row in rounds) for name in ("bytes_up", "bytes_down", "seconds")
        },
        "versions": VERSIONS,
        "classes": [str(index) for index in range(shape.classes)],
    }


def _baselines(rng: random.Random, shape: Shape) -> dict[str, Any]:
    shares = [min(0.9, max(0.2, rng.gauss(0.62, 0.13))) for _ in range(shape.clients)]
    local = {f"{shape.prefix}{index:02d}": share for index, share in enumerate(shares)}
    means = {"local_mean": sum(shares) / len(shares), "local_worst": min(shares)}
    return means | {"federated": 0.942, "pooled": 0.961, "local": local}


def _event(rng: random.Random, names: list[str], index: int) -> dict[str, Any]:
    severity, event, message = rng.choice(
        [
            ("warning", "finding", "Holds fewer than five rows of label 3."),
            ("info", "finding", "Every row of label 7 is in one client."),
            ("warning", "dropout", "Did not reply before the deadline of 30 seconds."),
            ("error", "refusal", "Refused the order: its policy allows at most 2 local epochs."),
        ]
    )
    return {
        "time": f"2026-11-23T10:{index % 60:02d}:00+00:00",
        "event": event,
        "severity": severity,
        "round": rng.randrange(1, 30),
        "client": rng.choice(names),
        "message": message,
        "extra": 1,
    }


class _References(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "srcset", "data", "action"}:
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            assert not name.startswith("on")


def report(folder: Path) -> str:
    """The page that the folder gives."""
    return write_report(folder).read_text(encoding="utf-8")


def parsed(page: str) -> _References:
    """The page's tags, references and ids."""
    parser = _References()
    parser.feed(page)
    return parser


def test_page_fetches_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = report(make_run(tmp_path))
    assert not re.search(r"https?://|@import|url\(", page)
    assert parsed(page).references == []
    assert not parsed(page).tags & {"script", "link", "iframe", "img", "object", "embed"}


def test_every_id_is_used_once(tmp_path: Path) -> None:
    ids = parsed(report(make_run(tmp_path))).ids
    assert len(ids) == len(set(ids))


def test_every_drawing_has_a_title_and_a_description(tmp_path: Path) -> None:
    page = report(make_run(tmp_path))
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    assert len(drawings) == 9
    assert all(
        re.match(r"<svg[^>]* role=\"img\"[^>]*><title[^>]*>[^<]+</title><desc[^>]*>[^<]+<", d)
        for d in drawings
    )


def test_page_says_what_federating_gained(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    summary["baselines"] |= {
        "local_mean": 0.5,
        "local_worst": 0.25,
        "federated": 0.9,
        "pooled": 1.0,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    page = report(folder)
    assert ">Yes<" in page
    assert "40.0 points more accurate" in page
    assert "25.0\u202f%" in page


@pytest.mark.parametrize("models", ["own", "both"])
def test_own_models_are_drawn_beside_local_ones_on_their_own_rows(
    tmp_path: Path, models: str
) -> None:
    folder = make_run(tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    on = {"own_clients": 6, "own_rows": 192, "pooled_own": 0.521}
    summary |= {"models": models, "test_accuracy": 0.8698, "personal_accuracy": 0.8698}
    summary["baselines"] |= on | {"local_own": 0.8698, "personal": 0.8698, "federated": None}
    (folder / "summary.json").write_text(json.dumps(summary))
    page = report(folder)
    assert ">Too close to call<" in page
    assert "federating gained nothing" in page
    assert "each client&#39;s models on its own test rows" in page
    assert "Of 6 of 10 clients; the others have no model of their own, or no test rows." in page
    drawn = page[page.index('id="comparison') :].split("</svg>")[0]
    assert "87.0" in drawn
    assert "62." not in drawn  # local models on everybody's rows
    assert ("Own model, own test rows" in page) == (models == "both")


def test_page_of_1000_rounds_and_200_clients_stays_under_its_limit(tmp_path: Path) -> None:
    folder = make_run(tmp_path, Shape(rounds=1000, clients=200, classes=80, events=3000))
    assert len(report(folder).encode()) < MOST_BYTES


@pytest.mark.parametrize(
    "shape",
    [
        Shape(rounds=1, clients=1, events=1),
        Shape(rounds=0, events=0),
        Shape(rounds=2, clients=3),
        Shape(rounds=0, clients=1, events=0, finished=False),
    ],
)
def test_page_of_a_very_small_run_renders(tmp_path: Path, shape: Shape) -> None:
    page = report(make_run(tmp_path, shape))
    assert page.endswith("</html>")
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.S)


def test_hostile_text_is_escaped_everywhere(tmp_path: Path) -> None:
    evil = '</title></svg><script>alert("1")</script><img src=x onerror=1>&'
    folder = make_run(tmp_path, Shape(prefix=evil, clients=3))
    summary = json.loads((folder / "summary.json").read_text())
    summary |= {
        "task": evil,
        "strategy": evil,
        "stopped_because": evil,
        "engine": evil,
        "versions": {evil: evil},
        "classes": [evil] * 10,
        "device": evil,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text() + f"# {evil}\n")
    page = report(folder)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_unfinished_run_says_so_and_renders(tmp_path: Path) -> None:
    page = report(make_run(tmp_path, Shape(rounds=7, finished=False)))
    assert "Unfinished: 7 of at most 50 rounds so far." in page
    assert "best: round 7" in page


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[2:4]] or [40, 10]
    print(write_report(make_run(Path(sys.argv[1]), Shape(rounds=sizes[0], clients=sizes[1]))))
