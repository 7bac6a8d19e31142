"""What an update gives away, and what is left of that in a sum: `python -m benchmarks.leakage`.

A linear layer's step on one example is dW_i = db_i · x for each unit i, so x = dW_i / db_i: whoever
sees the update has the image. The attack is run on what `privacy=none` sends, on the same vectors
under masks, and on sums; by a server that keeps to the protocol, in round 1, it is a lower bound of what
leaks. `benchmarks.imprint` adds a server that chooses weights and hyper-parameters within a policy.

Shapes: F pixels, V units of the first layer, N images.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial, reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import nn

from benchmarks import imprint
from benchmarks.leakage_page import Example, Figures, Sum, View, render, tables
from calyx.composing.compose import compose, resolve
from calyx.data.schema import Part
from calyx.files.plain import write_atomically
from calyx.machine.hardware import Hardware, apply
from calyx.model.metrics import CLIPPED, LOSS
from calyx.model.training_config import TrainingConfig
from calyx.model.weights import float_shapes, initial_model, weights_of
from calyx.preprocessing.choice import choose
from calyx.preprocessing.config import PreprocessingConfig
from calyx.run.order import Terms, terms_of
from calyx.secagg.masking import Mask, apply_masks
from calyx.seeding import rng
from calyx.tasks.registry import load_task
from calyx.tasks.task import Task
from calyx.vector.contribution import Contribution, Layout, decode, encode
from calyx.vector.quantise import Residues, add
from calyx.vector.weighing import UNKNOWN_W_MAX
from client.learning.training import LocalJob, train
from client.rows.data import prepare_rows
from client.rows.splitting import PART_NAMES
from server.config import read_run
from strategies.local import LocalObjective

COHORTS = (1, 2, 5, 10, 20, 50, 100)  # clients in a sum
BATCHES = (1, 4, 16, 64)  # examples of each of them
REAL = {  # overrides of the default config → cohorts of such clients
    (): (1, 2, 5, 10),
    ("task.num_clients=100", "task.min_rows=2"): (1, 10, 100),
}
EXACT = 0.01  # an image is recovered exactly below this relative error ‖x̂ − x‖ / ‖x‖
ALIKE = 0.99  # an image is recovered from a sum above this cosine with some unit's dW_i / db_i
HARDWARE = Hardware("cpu", 1, "float32", deterministic=False)
MASKS = 10  # a client's own and one with each of nine neighbours, as in a cohort of ten

Array = NDArray[np.float64]
Update = dict[str, Array]


@dataclass(frozen=True)
class Bench:
    """One seed's federation: its terms, the model that all parties start from, and the vector."""

    terms: Terms
    task: Task
    model: nn.Module
    layout: Layout
    training: TrainingConfig
    preprocessing: PreprocessingConfig


@dataclass(frozen=True)
class Population:
    """Clients' vectors, and images of which `owners` says whose update they are in; −1 is nobody's."""

    clients: str  # what each of them trained on
    batch: int | None  # examples of each in one full-batch step; None for real clients
    layout: Layout
    vectors: list[Residues]
    images: Array  # [N, F]
    owners: NDArray[np.int64]  # [N]


def bench_of(seed: int, overrides: Sequence[str] = ()) -> Bench:
    """The default config of digits, in the clear, with this seed; 100 clients fit into a sum."""
    fixed = ["task=digits", "privacy=none", "privacy.n_max=128", "task.w_max=256"]
    fixed += [
        "preprocessing=local",
        "privacy.clip=1.0",
    ]  # of pixels it learns nothing; nothing is cut
    fixed.append(f"seed={seed}")
    config = resolve(compose([*fixed, *overrides]))
    run = read_run(config)
    task, privacy = load_task(run.task), run.privacy
    model = initial_model(task, len(task.schema.columns), seed)
    shapes, w_max = float_shapes(weights_of(model)), privacy.w_max(task.w_max or UNKNOWN_W_MAX)
    return Bench(
        terms=terms_of(config),
        task=task,
        model=model,
        layout=Layout(privacy.fixed_point(), w_max, shapes, (LOSS,), (CLIPPED,)),
        training=run.training,
        preprocessing=choose(run.preprocessing, task.schema, run.phases).cfg,
    )


def vector_of(bench: Bench, rows: Part, validation: Part, client: str) -> Residues:
    """What `client` sends in round 1 under privacy=none: trained and encoded by the client's code."""
    model, before, seed = deepcopy(bench.model), weights_of(bench.model), bench.terms.seed
    job = LocalJob(bench.training, LocalObjective(), HARDWARE, seed, 1, client)
    trained = train(model, rows, validation, job)
    after = weights_of(model)
    update = {name: after[name] - before[name] for name, _ in bench.layout.tensors}
    dither = rng(seed, "dither-train", 1, client).random(bench.layout.parameters, np.float32)
    cut = sum(int((np.abs(part) > bench.layout.fixed.clip).sum()) for part in update.values())
    sent = Contribution(len(rows), update, {"loss": trained.loss}, {"clipped": np.array([cut])})
    return encode(sent, bench.layout, dither)


def one_step(bench: Bench, rows: Part, client: str) -> Residues:
    """What `client` sends after one full-batch step of SGD on `rows`."""
    single = replace(bench.training, epochs=1, batch_size=len(rows))
    return vector_of(replace(bench, training=single), rows, take(rows, slice(0)), client)


def take(rows: Part, where: slice | NDArray[np.int64]) -> Part:
    """Some of the rows."""
    return Part(rows.x[where], rows.y[where], rows.num_classes)


def masked(vector: Residues, layout: Layout, key: Callable[[int], bytes] = os.urandom) -> Residues:
    """The vector as a Calyx server sees it: uniform residues.

    Weight, loss and counts are left in the clear: without that gift it could not be decoded.
    """
    masks = [Mask(key(16), is_added=i % 2 == 0) for i in range(MASKS)]
    seen = apply_masks(vector, masks, layout.fixed.modulus_bits)
    start, end = layout.ends[:2]
    return np.concatenate([vector[:start], seen[start:end], vector[end:]])


def mean_update(vectors: Sequence[Residues], layout: Layout) -> Update:
    """What the server decodes from the sum of these vectors."""
    total = reduce(partial(add, fixed=layout.fixed), vectors)
    update = decode(total, len(vectors), layout, margin=2**32).update  # of masked ones, too
    return dict(update)


def invert(update: Update) -> Array:
    """The attack: images [V, F], dW_i / db_i of each unit with db_i ≠ 0, largest |db_i| first."""
    weight, bias = list(update.values())[:2]
    order = np.argsort(-np.abs(bias))
    order = order[bias[order] != 0]
    return np.asarray(weight[order] / bias[order, None])


def read_label(update: Update) -> int:
    """The class whose last bias rose the most; after one step on one example it alone rises."""
    return int(np.argmax(list(update.values())[-1]))


def cosines(images: Array, found: Array) -> Array:
    """The cosine [N] of each image with that of `found` [V, F] which is most like it."""
    if len(found) == 0:
        return np.zeros(len(images))
    norms = np.linalg.norm(images, axis=1)[:, None] * np.linalg.norm(found, axis=1)
    return np.asarray((images @ found.T / norms).max(axis=1))


def view_of(rows: Part, updates: Sequence[Update]) -> View:
    """How well the attack does on updates of one example each, `rows` in the same order."""
    found = [invert(update) for update in updates]
    images = rows.x.astype(np.float64)
    pairs = list(zip(images, found, strict=True))
    errors = np.array([np.linalg.norm(f[0] - x) / np.linalg.norm(x) for x, f in pairs])
    correlations = np.array([np.corrcoef(x, f[0])[0, 1] for x, f in pairs])
    labels = np.array([read_label(update) for update in updates])
    return View(
        recovered=float((errors < EXACT).mean()),
        labels=float((labels == rows.y).mean()),
        median_error=float(np.median(errors)),
        worst_error=float(errors.max()),
        correlation=float(correlations.mean()),
        absolute_correlation=float(np.abs(correlations).mean()),
        alike=float(np.mean([cosines(x[None], f)[0] > ALIKE for x, f in pairs])),
    )


def draw(bench: Bench, purpose: str) -> Part:
    """All clients' rows as the model takes them, in an order of their own for each purpose."""
    seed = bench.terms.seed
    tables = [bench.task.load(client, None, seed) for client in bench.task.clients]
    x = np.concatenate([table.x for table in tables]).astype(np.float32)
    rows = Part(x, np.concatenate([table.y for table in tables]), len(bench.task.schema.classes))
    return take(rows, rng(seed, purpose).permutation(len(rows)))


def single_examples(bench: Bench, rows: Part) -> tuple[list[Update], list[Update]]:
    """Updates of clients with one of `rows` each: in the clear, and as a Calyx server sees them."""
    vectors = [one_step(bench, take(rows, slice(i, i + 1)), str(i)) for i in range(len(rows))]
    plain = [mean_update([vector], bench.layout) for vector in vectors]
    return plain, [mean_update([masked(vector, bench.layout)], bench.layout) for vector in vectors]


def examples_of(rows: Part, plain: list[Update], seen: list[Update]) -> Iterator[Example]:
    """The first example of each class, with what the attack found."""
    for label, i in zip(*np.unique(rows.y, return_index=True), strict=True):
        images = [rows.x[i], invert(plain[i])[0], invert(seen[i])[0]]
        true, clear, noise = (tuple(float(v) for v in image) for image in images)
        yield Example(true, int(label), clear, read_label(plain[i]), noise, read_label(seen[i]))


def stepping(bench: Bench, batch: int) -> Population:
    """Clients with `batch` examples each, drawn without replacement, after one full-batch step."""
    rows = draw(bench, f"leakage-{batch}")
    count = min(max(COHORTS), len(rows) // batch)
    parts = [take(rows, slice(i * batch, (i + 1) * batch)) for i in range(count)]
    owners = np.arange(len(rows)) // batch
    owners[count * batch :] = -1
    vectors = [one_step(bench, part, str(i)) for i, part in enumerate(parts)]
    clients = f"{batch} example{'s' * (batch > 1)}, one step"
    return Population(clients, batch, bench.layout, vectors, rows.x.astype(np.float64), owners)


def real_clients(bench: Bench) -> Population:
    """Clients with their real rows and training; images of their other parts are nobody's."""
    vectors, images, owners = [], [], []
    for i, client in enumerate(bench.task.clients):
        parts = prepare_rows(bench.terms, bench.preprocessing, client, None).parts
        vectors.append(vector_of(bench, parts["train"], parts["validation"], client))
        for name in PART_NAMES:
            images.append(parts[name].x.astype(np.float64))
            owners.append(np.full(len(parts[name]), i if name == "train" else -1))
    clients, every = f"of {len(vectors)} real clients", np.concatenate(images)
    return Population(clients, None, bench.layout, vectors, every, np.concatenate(owners))


def attack_sums(population: Population, cohort: int) -> tuple[float, float, float]:
    """Over disjoint cohorts: examples in a sum, share of them recovered, share of outsiders "found"."""
    results = []
    for start in range(0, len(population.vectors) - cohort + 1, cohort):
        found = invert(mean_update(population.vectors[start : start + cohort], population.layout))
        is_found = cosines(population.images, found) > ALIKE
        inside = (population.owners >= start) & (population.owners < start + cohort)
        results.append((inside.sum(), is_found[inside].mean(), is_found[~inside].mean()))
    examples, recovered, outsiders = np.mean(results, axis=0).tolist()
    return examples, recovered, outsiders


def populations(seed: int) -> Iterator[tuple[Population, tuple[int, ...]]]:
    """Every kind of client, and the cohorts to draw from them."""
    bench = bench_of(seed)
    for batch in BATCHES:
        yield stepping(bench, batch), COHORTS
    for overrides, cohorts in REAL.items():
        yield real_clients(bench_of(seed, overrides)), cohorts


def measure_sums(seeds: Iterable[int]) -> list[Sum]:
    """The attack on every kind of sum, over all seeds."""
    results: dict[tuple[str, int | None, int], list[tuple[float, float, float]]] = {}
    for population, cohorts in (pair for seed in seeds for pair in populations(seed)):
        for cohort in (c for c in cohorts if c <= len(population.vectors)):
            key = (population.clients, population.batch, cohort)
            results.setdefault(key, []).append(attack_sums(population, cohort))
    sums = []
    for (clients, batch, cohort), rows in results.items():
        examples, recovered, outsiders = np.mean(rows, axis=0).tolist()
        deviation = np.std(rows, axis=0).tolist()[1]
        sums.append(Sum(clients, batch, cohort, examples, recovered, deviation, outsiders))
    return sums


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write leakage.json and leakage.html."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leakage", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("leakage"), help="folder for the results")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of which sums are the mean")
    parser.add_argument("--examples", type=int, default=300, help="clients with one example")
    options, _ = parser.parse_args(arguments), apply(HARDWARE)
    console, bench = Console(), bench_of(0)
    rows = take(draw(bench, "leakage-single"), slice(options.examples))
    plain, seen = single_examples(bench, rows)
    sums = measure_sums(track(range(options.seeds), "attacking sums", console=console))
    figures = Figures(
        seeds=options.seeds,
        singles=len(rows),
        exact=EXACT,
        alike=ALIKE,
        plain=view_of(rows, plain),
        masked=view_of(rows, seen),
        sums=tuple(sums),
        chosen=tuple(imprint.measure()),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    told, page = (options.out / f"leakage.{end}" for end in ("json", "html"))
    write_atomically(told, f"{json.dumps(asdict(figures), indent=2)}\n".encode())
    write_atomically(page, render(figures, list(examples_of(rows, plain, seen))))
    console.print(*tables(figures), f"{told}, {page}")


if __name__ == "__main__":
    main()
