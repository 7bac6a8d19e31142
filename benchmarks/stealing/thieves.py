"""Thieves: rows to ask for, and a substitute that is trained on the answers.

Each knows the schema and the kind of model, and prepares rows as the victim does: more than a caller knows,
and no less than the card tells. Shapes: N rows, C columns, F inputs, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks.stealing.victims import EXACT, Policy, Values, Victim
from calyx.data.schema import Column
from calyx.model.weights import initial_model
from calyx.seeding import global_scope, rng
from calyx.serving.reference import draw_rows

STEP = (
    0.1  # of a number's standard deviation (of a pixel: of its range), as in Papernot et al. 2017
)
_SEEDS = 100  # rows that a thief has of its own, from which steps begin
STEPS, _BATCH = 3000, 128
_SEED = 1009  # of the substitute's first weights, which are not the victim's
Draw = Callable[[Victim, int], Values]


@dataclass(frozen=True)
class Thief:
    """A way of choosing rows to ask for."""

    name: str
    draw: Draw


def draw_evenly(victim: Victim, count: int) -> Values:
    """Each column evenly from what the schema declares (Tramèr et al. 2016)."""
    draw = rng(0, "stealing-evenly")
    return np.stack([_draw_column(c, draw, count) for c in victim.schema.columns], axis=1)


def draw_from_card(victim: Victim, count: int) -> Values:
    """Each column by the counts of the release's card, which every caller may read."""
    return draw_rows(victim.schema, victim.population, rng(0, "stealing-card"), count)


def draw_alike(victim: Victim, count: int) -> Values:
    """Rows between two of its own: each number anywhere between theirs, each category one of theirs.

    Its own are the validation rows, which no weight was trained on: a knock-off from rows like those of the
    population (Orekondy et al. 2019).
    """
    own, draw = victim.part("validation").x, rng(0, "stealing-alike")
    first, second = own[draw.integers(0, len(own), (2, count))]
    share = draw.random((count, 1))
    between = share * first + (1 - share) * second
    is_code = np.array([bool(c.categories) for c in victim.schema.columns])
    chosen = np.where(draw.random(first.shape) < 0.5, first, second)
    return np.asarray(np.where(is_code | np.isnan(between), chosen, between))


def draw_steps(victim: Victim, count: int) -> Values:
    """Jacobian-based augmentation (Papernot et al. 2017): from each row a step where a substitute changes.

    The substitute is trained anew on exact answers each time the rows have doubled.
    """
    draw = rng(0, "stealing-steps")
    own = victim.part("validation").x
    rows = own[draw.permutation(len(own))[:_SEEDS]]
    low, high = victim.schema.low, victim.schema.high
    sizes = _step_sizes(victim, own)
    while len(rows) < count:
        substitute = train_substitute(victim, rows, victim.ask(rows, EXACT), STEPS // 10)
        signs = _slopes(victim, substitute, rows, sizes)
        rows = np.concatenate([rows, np.clip(rows + sizes * signs, low, high)])
    return rows[:count]


def _step_sizes(victim: Victim, own: Values) -> Values:
    """[C]: of a number `STEP` standard deviations, of a pixel a share of its range, of a category none."""
    columns = victim.schema.columns
    spread = np.nanstd(own, axis=0)
    ranges = victim.schema.high - victim.schema.low
    return np.array(
        [
            0.0 if c.categories else STEP * (ranges[i] if c.kind == "image" else spread[i])
            for i, c in enumerate(columns)
        ]
    )


def _slopes(victim: Victim, substitute: nn.Module, rows: Values, sizes: Values) -> Values:
    """Signs [N, C] of how the score of a row's own class changes with each column, by differences."""
    signs = np.zeros_like(rows)
    with torch.no_grad():
        scores = substitute(torch.from_numpy(victim.model.prepare(rows)))
        own = scores.argmax(dim=1, keepdim=True)
        before = scores.gather(1, own)
        for place in np.flatnonzero(sizes):
            moved = rows.copy()
            moved[:, place] += sizes[place]
            after = substitute(torch.from_numpy(victim.model.prepare(moved))).gather(1, own)
            signs[:, place] = np.sign((after - before).numpy()[:, 0])
    return signs


def _draw_column(column: Column, draw: np.random.Generator, count: int) -> Values:
    if column.categories:
        return draw.choice(column.categories, count)
    if column.low is None or column.high is None:
        raise ValueError(f"{column.name} has no range to draw from")
    return draw.uniform(column.low, column.high, count)


THIEVES = (
    Thief("evenly", draw_evenly),
    Thief("steps", draw_steps),
    Thief("the card's counts", draw_from_card),
    Thief("rows alike", draw_alike),
)


def train_substitute(victim: Victim, rows: Values, told: Values, steps: int) -> nn.Module:
    """A network of the victim's kind, trained on what was told [N, K] of rows, by Adam."""
    inputs = victim.model.prepare(rows)
    network = initial_model(victim.model.task, inputs.shape[1], _SEED)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    x, y = torch.from_numpy(inputs), torch.from_numpy(told.astype(np.float32))
    draw = rng(0, "stealing-batches")
    with global_scope(0, "stealing-substitute"):
        for _ in range(steps):
            part = torch.from_numpy(draw.integers(0, len(x), _BATCH))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(x[part]), y[part])
            loss.backward()  # type: ignore[no-untyped-call] # PyTorch has not typed it
            optimizer.step()
            schedule.step()
    return network.eval()


def measure_agreement(victim: Victim, rows: Values, policy: Policy) -> float:
    """The share of test rows to which a substitute, trained on answers to `rows`, gives the same label."""
    if not len(rows):
        return float("nan")
    substitute = train_substitute(victim, rows, victim.ask(rows, policy), STEPS)
    test = victim.part("test").x
    with torch.no_grad():
        labels = substitute(torch.from_numpy(victim.model.prepare(test))).argmax(dim=1).numpy()
    return float((labels == victim.model.predict(test).argmax(axis=1)).mean())
