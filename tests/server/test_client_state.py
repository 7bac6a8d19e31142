"""Strategies that keep something of each client: resumed, encrypted, and what reaches the model."""

import json

import numpy as np
import pytest
from support.csv_files import write_folder
from support.federation import Federation, Silent
from support.taps import Tap, run_server, stage_of

from calyx.errors import ConfigError
from calyx.files.plain import read_lines
from calyx.model.weights import load_weights
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.workers import WorkerPool

RUN = ("rounds=2", "task.num_clients=4")
KEEPING = ["scaffold", "fedbn", "ditto"]


class Died(BaseException):
    """kill -9 of the server."""


def federation(folder, *overrides):
    return Federation(*RUN, *overrides, store=folder / "clients")


def run(folder, *overrides):
    made = federation(folder, *overrides)
    return summary(run_server(made, made.inner, folder / "run"))


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def dying(tap, exchange):
    """Let the server die when a client of the n-th exchange has answered."""
    seen = []

    def reply(message, answer):
        if stage_of(message) == 0 and message.content not in seen:
            seen.append(message.content)
        if len(seen) == exchange:
            raise Died
        return answer

    tap.reply = reply


@pytest.mark.parametrize("strategy", KEEPING)
def test_a_run_that_is_resumed_ends_with_the_same_bytes_and_figures(tmp_path, strategy):
    wanted = run(tmp_path / "whole", f"strategy={strategy}")
    again = federation(tmp_path / "again", f"strategy={strategy}")
    tap = Tap(again.inner)
    dying(tap, 2)
    with pytest.raises(Died):
        run_server(again, tap, tmp_path / "again" / "run")
    found = summary(run_server(again, again.inner, tmp_path / "again" / "run", resume=True))
    for key in ("model_sha256", "test_loss", "test_accuracy", "personal_accuracy"):
        assert found.get(key) == wanted.get(key), key
    files = [
        list((tmp_path / name / "clients").glob("*.safetensors")) for name in ("whole", "again")
    ]
    assert [len(found) for found in files] == [8, 8]  # clients times rounds


@pytest.mark.parametrize("strategy", KEEPING)
def test_encryption_changes_no_byte(tmp_path, strategy):
    plain = run(tmp_path / "plain", f"strategy={strategy}")
    few = ("privacy.n_min=4", "privacy.h_min=3")
    masked = run(tmp_path / "masked", f"strategy={strategy}", "privacy=secagg", *few)
    assert masked["model_sha256"] == plain["model_sha256"]


@pytest.mark.parametrize("strategy", KEEPING)
def test_the_model_is_the_tasks_and_holds_nothing_of_one_client(tmp_path, strategy):
    made = federation(tmp_path, f"strategy={strategy}")
    folder = run_server(made, made.inner, tmp_path / "run")
    model = load_weights(folder / "model.safetensors")
    assert sorted(model) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    is_initial = np.array_equal(model["2.weight"], made.template["2.weight"])
    assert is_initial == (strategy == "fedbn")  # its last layer stays at home


def test_a_personal_accuracy_is_told_where_there_are_personal_models(tmp_path):
    found = {s: run(tmp_path / s, f"strategy={s}") for s in ("fedavg", "fedbn", "ditto")}
    assert "personal_accuracy" not in found["fedavg"]
    assert found["fedbn"]["personal_accuracy"] == found["fedbn"]["test_accuracy"]
    assert found["ditto"]["personal_accuracy"] != found["ditto"]["test_accuracy"]
    assert found["ditto"]["model_sha256"] == found["fedavg"]["model_sha256"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("strategy=fedbn", "strategy.local.keep=[x]"), "matches no tensor of this model"),
        (("strategy=scaffold", "training.optimizer=adam"), "strategy=scaffold needs training"),
    ],
)
def test_a_strategy_that_does_not_suit_is_refused_before_anything_is_written(
    tmp_path, overrides, words
):
    with pytest.raises(ConfigError, match=words):
        run(tmp_path, *overrides)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_client_without_a_place_for_it_says_so(tmp_path):
    made = Federation(*RUN, "strategy=ditto")
    with pytest.raises(Exception, match="order-refused"):
        run_server(made, made.inner, tmp_path / "run")


def test_a_site_whose_rows_change_in_mid_run_is_in_no_later_sum(tmp_path):
    """Nor in the test, whose rows may have been trained on; the server knows who, and why."""
    rows = write_folder(tmp_path / "rows", clients=4, rows=40)
    made = Federation("task=csv", f"task.data_dir={rows}", "rounds=2")
    section = made.plan.run.client | {"state_dir": str(tmp_path / "state")}  # as sites have one
    tap = Tap(EmbeddedGrid(WorkerPool(0), made.identities, section, Silent()))

    def reply(message, answer):
        if stage_of(message) == 0 and message.metadata.message_type == "train":
            file = rows / "site-1.csv"
            head, *lines = file.read_text().splitlines()
            if lines[0].startswith("0,"):
                file.write_text("\n".join([head, *reversed(lines)]) + "\n")
        return answer

    tap.reply = reply
    folder = run_server(made, tap, tmp_path / "run")
    cohorts = [(row["replies"], row["dropped"]) for row in read_lines(folder / "rounds.jsonl")]
    assert cohorts == [(4, []), (3, ["site-1"])]
    assert summary(folder)["tested_on"]["clients"] == 3
    dropped = [e for e in read_lines(folder / "events.jsonl") if e["event"] == "client-dropped"]
    assert {(e["client"], e["reason"]) for e in dropped} == {("site-1", "rows-changed")}
    said = (tmp_path / "state" / "events.jsonl").read_text()
    assert "the same rows in another order" in said
