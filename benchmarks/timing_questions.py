"""Orders whose length of work depends on single rows: early stopping as an oracle.

"Has this site an ill patient with the marker m among its validation rows?", and the same of its
training rows: with weights of the server's choice the loss on validation rows falls in every epoch
where there is such a patient, and stays as it is where there is none, so that the training ends
after the second. Every answer is a bit of one site, and no vector is ever asked for.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from calyx.composing.compose import compose, resolve
from calyx.config.section import Section
from calyx.model.makeup import makeup_of
from calyx.model.weights import Weights, hash_weights, initial_model
from calyx.preprocessing.fitting import num_inputs
from calyx.run.order import Link, Order, Terms, to_json
from calyx.simulation.planning import check_config

EPOCHS = 400
MARGIN = 1e5  # nats that a patient of the kind, or every ill one, costs at first
FILLERS = 20  # ill patients without a marker, in each part
STOPPING: Section = {"patience": 1, "min_delta": 0.1}
Part = Literal["validation", "train"]


@dataclass(frozen=True)
class Question:
    """Whether a site has an ill patient with a marker in one part of its rows."""

    marker: int
    part: Part


@dataclass(frozen=True)
class Secrets:
    """What the sites' rows say: of each site, marker and part whether there is such a patient."""

    bits: dict[tuple[str, int, str], bool]

    def of(self, site: str, question: Question) -> bool:
        """The right answer."""
        return self.bits[site, question.marker, question.part]


def questions(markers: int) -> list[Question]:
    """One of each marker and part."""
    parts: tuple[Part, ...] = ("validation", "train")
    return [Question(marker, part) for marker in range(markers) for part in parts]


def write_rows(folder: Path, sites: Sequence[str], markers: int, seed: int) -> Secrets:
    """A csv task's folder: every site has a well patient with each marker, and an ill one by chance."""
    draw, bits = np.random.default_rng(seed), dict[tuple[str, int, str], bool]()
    names = [f"m{i:03}" for i in range(markers)]
    for part in ("train", "validation", "test"):
        (folder / part).mkdir(parents=True)
        for site in sites:
            rows: list[list[object]] = [[*[0] * markers, "yes"]] * FILLERS
            for marker in range(markers):
                one = [int(i == marker) for i in range(markers)]
                bits[site, marker, part] = bool(draw.random() < 0.5)
                rows += [[*one, "no"]] + [[*one, "yes"]] * bits[site, marker, part]
            lines = [",".join([*names, "ill"]), *(",".join(map(str, row)) for row in rows)]
            (folder / part / f"{site}.csv").write_text("\n".join(lines) + "\n")
    column = {"kind": "numeric", "low": 0, "high": 1}
    schema = {
        "target": {"name": "ill", "classes": ["no", "yes"]},
        "columns": dict.fromkeys(names, column),
    }
    (folder / "schema.yaml").write_text(yaml.dump(schema, Dumper=_Plain))
    return Secrets(bits)


class _Plain(yaml.SafeDumper):
    """Without aliases, which a schema may not have."""

    def ignore_aliases(self, data: object) -> bool:
        """Never."""
        return True


@dataclass(frozen=True)
class Asker:
    """What all orders have in common."""

    terms: Terms
    template: Weights
    sites: tuple[str, ...]
    client: Section  # of a simulation

    def ask(self, question: Question, run: str, number: int) -> tuple[str, Weights]:
        """The text of an order for training, and its weights: one of `number` from a run that never was.

        The run's name gets the part's behind it, since terms stay the same in a run. A run of its
        own for each would have the rows read anew, which takes longer than the training.
        """
        run = f"{run}-{question.part}"
        rates, weights = _chosen(question, self.template)
        how: Section = {"epochs": EPOCHS, "batch_size": 8, "early_stopping": STOPPING, **rates}
        order = Order(
            protocol="calyx/1",
            run=run,
            kind="train",
            round=2 + number,  # a first round must begin with the seed's weights
            attempt=1,
            weights=hash_weights(weights),
            is_validated=False,
            previous=(Link(ctx=_digest(f"{run} {number}"), root=_digest(f"root {number}")),),
            abandoned=(),
            groups=(self.sites,),
            members=None,
            rounds=2 + number,
            best=0,
            deadline_s=60.0,
            terms=replace(self.terms, training=self.terms.training | how),
        )
        return to_json(order), weights


def asker_of(folder: Path, sites: Sequence[str]) -> Asker:
    """For the rows of a folder."""
    words = [
        "task=csv",
        f"task.data_dir={folder}",
        "task.hidden=2",
        "task.w_max=128",
        "preprocessing=none",
        "privacy.n_min=4",
        "engine=superlink",
    ]
    checked = check_config(resolve(compose(words)))
    run, task = checked.run, checked.task
    width = num_inputs(task.schema, checked.preprocessing)
    template = makeup_of(initial_model(task, width, run.seed), width).weights
    return Asker(checked.terms, template, tuple(sorted(sites)), dict(run.client))


def _chosen(question: Question, template: Weights) -> tuple[dict[str, float], Weights]:
    """Learning rate and decay, and weights of which one hidden unit looks for the marker.

    Of validation rows: who has the marker is well for sure, so that an ill one costs MARGIN nats, less
    with each step by weight decay; next to nothing is learned.
    Of training rows: everybody is well for sure, which is only unlearned through the unit, and the
    unit is awake for an ill patient with the marker alone, until it has learned to be.
    """
    weights = {name: np.zeros_like(array) for name, array in template.items()}
    into, _, out, bias_out = weights.values()
    if question.part == "validation":
        # Both halves decay; of a small one the gradient through the other would be a large step.
        into[0, question.marker] = out[0, 0] = MARGIN**0.5
        return {"lr": 5e-6, "weight_decay": 100.0}, weights  # the largest decay that a config takes
    into[0, question.marker], out[1, 0], bias_out[0] = 1e-4, 5e3, MARGIN
    return {"lr": 1e-6, "weight_decay": 0.0}, weights


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
