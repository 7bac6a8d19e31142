"""The models that are attacked: of default runs, with the policies by which a gateway would answer.

Shapes: N rows, C columns, F inputs, K classes.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calyx.cli.release.data import read_looked
from calyx.cli.trained import read_trained
from calyx.data.schema import Schema, Table, join
from calyx.model.released import ReleasedModel
from calyx.run.folder import RunFolder
from calyx.serving.answers import Answers, Told
from calyx.serving.config import Answer
from calyx.serving.population import Population, read_population
from calyx.serving.reference import draw_reference
from calyx.serving.traces import Inputs, Queries
from client.rows.splitting import PartName, split

Values = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Policy:
    """What a gateway tells of a prediction: its keys `serve.answer` and `serve.digits`."""

    name: str
    answer: Answer
    digits: int = 15


EXACT = Policy("all digits", "label_and_probabilities")
POLICIES = (
    EXACT,
    Policy("3 digits", "label_and_probabilities", 3),
    Policy("2 digits", "label_and_probabilities", 2),
    Policy("label", "label"),
)


@dataclass(frozen=True, eq=False)
class Victim:
    """A released model, and whose rows it was trained, chosen and tested on."""

    name: str
    model: ReleasedModel
    population: Population
    parts: dict[str, dict[PartName, Table]]  # of each client

    @property
    def schema(self) -> Schema:
        """What goes in and comes out."""
        return self.model.task.schema

    def part(self, name: PartName) -> Table:
        """The rows of one part, of all clients together."""
        return join([own[name] for own in self.parts.values()])

    @cached_property
    def reference(self) -> Inputs:
        """Drawn inputs, by which a detector judges distances."""
        return draw_reference(self.schema, self.population, self.model.prepare)

    def look(self, rows: Values) -> Queries:
        """Rows in the three forms in which a detector looks at them."""
        return Queries(rows, self.model.prepare(rows), self.population.find_cells(rows))

    def ask(self, rows: Values, policy: Policy) -> Values:
        """Probabilities [N, K] as a caller reads them from the gateway's own answer; 0 and 1 of a label."""
        answers = Answers(self.schema, policy.answer, policy.digits)
        body = answers.write(self.model.predict(rows), Told({}, [()] * len(rows)))
        told = json.loads(body)["predictions"]
        if policy.answer == "label":
            places = [self.schema.classes.index(row["label"]) for row in told]
            return np.eye(len(self.schema.classes))[places]
        return np.array([list(row["probabilities"].values()) for row in told])


def train_victim(task: str, folder: Path, overrides: tuple[str, ...] = ()) -> Victim:
    """The model of a default run of `task`, made below `folder`. Raises CalledProcessError."""
    where = folder / task
    program = str(Path(sys.executable).with_name("calyx"))
    words = ["simulate", f"task={task}", "baselines=false", *overrides, f"hydra.run.dir={where}"]
    subprocess.run([program, *words], cwd=folder, check=True, capture_output=True)
    return read_victim(where)


def read_victim(where: Path) -> Victim:
    """The victim of a run's folder."""
    folder = RunFolder(where)
    trained = read_trained(folder, folder.read_config())
    task, seed = trained.task, trained.run.seed
    told = trained.run.task.get("data_dir")
    data_dir = Path(str(told)) if told else None
    baseline = read_looked(trained, task.clients).baseline
    parts = {
        client: split(task.load(client, data_dir, seed), seed, client) for client in task.clients
    }
    return Victim(where.name, trained.model, read_population(task.schema, baseline), parts)
