"""A roster of a million names takes no more memory than one of a thousand: nobody lists it."""

import tracemalloc

import numpy as np
import pytest
from support.federation import config_of

from calyx.data.partitions import PartitionConfig
from calyx.files.plain import read_lines
from calyx.simulation.planning import plan
from calyx.simulation.run import simulate
from calyx.tasks.partitioned import PartitionedTask

WORDS = (
    *("privacy=none", "cohort_size=3", "census_size=3", "rounds=1", "training.epochs=1"),
    *("phases=[preprocess,train,validate,release]", "baselines=false", "engine.workers=0"),
)


@pytest.fixture
def endless(monkeypatch):
    """Rows for as many clients as one likes: a client's are some of digits, by its number."""

    def load(task, client, data_dir, seed):
        return task.take(np.arange(40) + 40 * (task.clients.index(client) % 40))

    monkeypatch.setattr(PartitionConfig, "check_rows", lambda *_: None)
    monkeypatch.setattr(PartitionedTask, "load", load)


def run(folder, clients):
    checked = plan(config_of(*WORDS, f"task.num_clients={clients}"))
    simulate(checked, folder, resume=False, progress=lambda *_: None)
    return read_lines(folder / "rounds.jsonl")


def test_a_run_of_a_million_clients_takes_the_memory_of_one_of_a_thousand(endless, tmp_path):
    run(tmp_path / "first", 1000)  # what is imported and kept once
    peaks = []
    for clients in (1000, 10**6):
        tracemalloc.start()
        (row,) = run(tmp_path / str(clients), clients)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(row["cohort"]) == row["replies"] == 3
    assert peaks[1] < peaks[0] + 10**6  # bytes: one for each name
