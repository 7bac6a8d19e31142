"""What two values of a config's key make differ: small functions of the key's owner, without a run."""

import numpy as np
import torch
from torch import nn

from calyx.config.section import parse
from calyx.data.faults import Fault, inject
from calyx.data.partitions import PartitionConfig, partition
from calyx.data.schema import Column, Part, Schema, Table
from calyx.errors import CalyxError, UserError
from calyx.machine.hardware import Hardware
from calyx.model.training_config import TrainingConfig
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import apply, fit
from calyx.privacy.section import PrivacyConfig, guarantee
from calyx.questions.segments import PRG_KEY_BYTES
from calyx.tasks.csv import Csv
from calyx.tasks.registry import load_class
from client.learning.training import LocalJob, train
from server.sampling import deal_groups
from strategies.algorithm import GroupUpdate, Mean
from strategies.local import LocalObjective, Start

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 3))
LABELS = np.arange(60) % 2
EARLY = np.arange(60) < 30


def trained(*, is_learnable=False, **changes):
    """The weights of a small model after local training, and the epochs that it took."""
    section = {
        **{"name": "x", "epochs": 12, "batch_size": 8, "lr": 0.3, "optimizer": "sgd"},
        **{"momentum": 0.0, "weight_decay": 0.0},
        "early_stopping": {"patience": 2, "min_delta": 0.0},
    }
    stopping = {k: changes.pop(k) for k in ("patience", "min_delta") if k in changes}
    section["early_stopping"] = section["early_stopping"] | stopping
    hardware = Hardware("cpu", 1, changes.pop("precision", "float32"), True)
    cfg = parse(TrainingConfig, section | changes, "training")
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    noise = np.random.default_rng(2).integers(0, 2, len(X))
    noise = (X[:, 0] > 0).astype(np.int64) if is_learnable else noise
    parts = [Part(X[rows].astype(np.float32), noise[rows], 2) for rows in (EARLY, ~EARLY)]
    done = train(net, *parts, LocalJob(cfg, LocalObjective(), hardware, 1, 1, "a"))
    return net.weight.detach().tolist(), done


def prepared(**changes):
    """The model's inputs of rows with holes and with values far off."""
    x = X[:, :2].copy()
    x[:, 1] = LABELS
    x[3], x[7, 0] = np.nan, 1e3
    columns = Column("a", "numeric", may_be_missing=True), Column("b", "categorical", (0.0, 1.0))
    section = {"name": "local", "numeric_imputation": "median", "categorical_imputation": "mode"}
    section |= {"fill_value": 0.0, "scaling": "standard", "outliers": "clip", "iqr_factor": 3.0}
    cfg = parse(PreprocessingConfig, section | changes, "preprocessing")
    table = Table(x, LABELS)
    return apply(fit(table, Schema(columns, ("n", "y")), cfg), table).tolist()


def promised(*, roster=40, group=20, **changes):
    """What a sum holds, of whom, and in which numbers."""
    section = {"name": "secagg", "groups": 1, "bits": 32, "n_max": 128, "clip": 1.0}
    section |= {"weighting": "examples", "n_min": 5, "h_min": 3, "max_colluders": None}
    section |= {"sampling": "adversarial", "prg": "aes-128"}
    privacy = parse(PrivacyConfig, section | changes, "privacy")
    dealt = deal_groups([f"{i}" for i in range(40)], privacy.groups, 1)
    numbers = privacy.fixed_point(), privacy.w_max(64), PRG_KEY_BYTES[privacy.prg]
    return guarantee(privacy, roster, group), numbers, dealt


def stepped(name, **changes):
    """A model after two steps of a server's half on five groups, one of them far off."""
    cls, updates = load_class("strategy", name), DRAW_UPDATES
    algorithm = cls(parse(cls.server_config, changes, "server"))
    weights = {"w": np.zeros(3, np.float32)}
    state = algorithm.initial_state(weights)
    for sign in (1.0, -0.3):
        groups = [GroupUpdate({"w": sign * u}, 5 + i) for i, u in enumerate(updates)]
        mean = Mean(algorithm.combine(groups), {}, 1.0)
        weights, state = algorithm.apply(weights, mean, state)
    return weights["w"].tolist()


DRAW_UPDATES = [*np.random.default_rng(1).normal(size=(6, 3)), np.array([9.0, -9.0, 9.0])]


def read(tmp_path, file="a;k;b;y\n1,5;u;7;no\n900;v;;yes\n-3;z;8;no\n", **changes):
    """A table as the csv task reads it by a schema, what the task says of it, or the refusal."""
    (tmp_path / "one.csv").write_bytes(file.encode("latin-1"))
    column = {"kind": "numeric"} | changes.pop("column", {})
    words = {"kind": "categorical", "categories": ["u", "v"]} | changes.pop("words", {})
    target = {"name": "y", "classes": ["no", "yes"]} | changes.pop("target", {})
    schema = {"target": target, "delimiter": ";", "decimal": ",", "columns": {"a": column}}
    schema["columns"] |= {"k": words} | changes.pop("columns", {})
    section = {"name": "csv", "schema": schema | changes, "clients": ["one"]}
    try:
        task = Csv(section | {"hidden": 2, "w_max": None})
        table = task.load("one", tmp_path, 1)
    except CalyxError as refused:
        return str(refused)
    rows = table.x.tolist(), table.y.tolist(), table.blocks is None, table.parts is None
    return str(rows), table.times is None, table.unread, task.schema


def dealt(**changes):
    """Whose row is which."""
    section = {"name": "x", "num_clients": 4, "partition": "dirichlet", "alpha": 1.0}
    section |= {"shards_per_client": 2, "min_rows": 3, "w_max": None} | changes
    try:
        cfg = parse(PartitionConfig, section, "task")
        return [part.tolist() for part in partition(cfg, np.repeat(LABELS, 2), 1)]
    except CalyxError as refused:
        return str(refused)


def harmed(**changes):
    """A table with one fault."""
    columns = tuple(Column(name, "numeric") for name in "abc")
    fault = Fault(**{"client": "x", "kind": "unit", "column": "a"} | changes)
    return inject(Table(X, LABELS), Schema(columns, ("n", "y")), fault, 1).x.tolist()


def parsed(cls, section, **changes):
    """A config, or the sentence that refuses it."""
    try:
        return parse(cls, section | changes, "here")
    except UserError as refused:
        return str(refused)


def pulled(mu, name="fedprox"):
    """What a client adds to its loss."""
    half = parse(load_class("strategy", name).local_objective, mu, "local")
    half = half.personal() or half
    one, other = {"w": torch.ones(2)}, {"w": torch.zeros(2)}
    return float(half.penalty(one, Start(other, other)))
