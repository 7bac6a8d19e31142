"""Run folders as a run leaves them, to be compared: small, and of figures that are known."""

import yaml

from calyx.files.plain import append_lines, read_lines, write_json
from calyx.pages.folder import read_run
from calyx.pages.groups import entries_of
from calyx.pages.ranking.standings import rank
from calyx.run.json_rows import parse_row
from calyx.run.rows import RoundRow
from calyx.run.summary import Summary

HEAD = {"task": "digits", "strategy": "fedavg", "seed": 1, "stopped_because": "all rounds are done"}
ROW = {
    "train_loss": 1.0,
    "cohort": ["a", "b"],
    "replies": 2,
    "dropped": [],
    "bytes_up": 100,
    "bytes_down": 200,
    "seconds": 0.5,
    "best_round": 1,
}


def summary_of(**figures):
    """A summary that says this, as it is read from a file."""
    return parse_row(Summary, HEAD | figures)


def round_of(number, **figures):
    """A line of rounds.jsonl that says this, as it is read from there."""
    return parse_row(RoundRow, {"round": number} | ROW | figures)


def make(
    folder, accuracy, *, strategy="fedavg", seed=1, rounds=4, finished=True, figures=(), **config
):
    """A run folder that learns up to `accuracy`; `figures` are put into its summary.json."""
    folder.mkdir(parents=True)
    values = {
        "task": {"name": "digits", "data_dir": "/somewhere"},
        "strategy": {
            "name": strategy,
            "server": {},
            "local": {"mu": 0.1} if strategy == "fedprox" else {},
        },
        "training": {"lr": 0.1},
        "rounds": rounds,
        "seed": seed,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values | config))
    known = {key: value for key, value in ROW.items() if key != "best_round"}
    rows = [
        {"round": n, "val_loss": 1.2 / n, "val_accuracy": accuracy * n / rounds}
        | known
        | {"train_loss": 1 / n}
        for n in range(1, rounds + 1)
    ]
    append_lines(folder / "rounds.jsonl", rows)
    if finished:
        summary = {
            "task": "digits",
            "strategy": strategy,
            "seed": seed,
            "rounds": rounds,
            "stopped_because": "all rounds are done",
            "best_val_loss": 1.2 / rounds,
            "test_loss": 0.5,
            "test_accuracy": accuracy,
            "metric": "accuracy",
            "seconds": 2.0,
        }
        summary |= {"model_sha256": f"{folder.name}", "best_val_loss": 1.2 / rounds}
        write_json(folder / "summary.json", summary | dict(figures))
    return folder


def groups_of(*folders):
    return rank(entries_of([read_run(folder) for folder in folders]))


def lines_of(*folders):
    """Label → number of runs, the best first, of the only group."""
    (group,) = groups_of(*folders)
    return {e.standing.label: len(e.standing.entries) for e in group.lines}


def seeds(tmp_path, strategy, *values):
    return [
        make(tmp_path / f"{strategy}-{i}", v, strategy=strategy, seed=i)
        for i, v in enumerate(values)
    ]


def lr(tmp_path, rate, accuracies, **more):
    """One run a seed, seed → accuracy; each of its own model."""
    return [
        make(tmp_path / f"{rate}-{seed}", value, seed=seed, training={"lr": rate}, **more)
        for seed, value in accuracies.items()
    ]


def regression(folder, r2, rmse, rows=("val_r2", "val_rmse"), **config):
    made = make(folder, 0.5, finished=False, **config)
    lines = [
        {k: v for k, v in row.items() if k != "val_accuracy"} | {rows[0]: r2, rows[1]: rmse}
        for row in read_lines(made / "rounds.jsonl")
    ]
    (made / "rounds.jsonl").unlink()
    append_lines(made / "rounds.jsonl", lines)
    summary = {"task": "csv", "strategy": "fedavg", "seed": 1, "stopped_because": "done"}
    figures = {"metric": "r2", "test_r2": r2, "test_rmse": rmse, "best_val_rmse": rmse}
    write_json(made / "summary.json", summary | figures | {"best_val_loss": 0.0143})
    return made
