"""The attack of `benchmarks.leakage`: it works in the clear, and fails for the right reason else."""

import hashlib
import itertools
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import imprint, leakage
from calyx.cli.site_file import task_template
from calyx.secagg.masking import Mask, apply_masks
from client.gate.bounds import is_within

EXAMPLES = 100  # mean |correlation| of noise: 0.10 ± 0.008, so 0.2 is twelve deviations away


def fixed_keys():
    """A source of keys that is not random, for a test that gives the same bytes each time."""
    count = itertools.count()
    return lambda size: hashlib.sha256(str(next(count)).encode()).digest()[:size]


@pytest.fixture(scope="module")
def bench():
    return leakage.bench_of(7)


@pytest.fixture(scope="module")
def rows(bench):
    return leakage.take(leakage.draw(bench, "leakage-single"), slice(EXAMPLES))


@pytest.fixture(scope="module")
def vectors(bench, rows):
    one = [leakage.take(rows, slice(i, i + 1)) for i in range(len(rows))]
    return [leakage.one_step(bench, row, str(i)) for i, row in enumerate(one)]


def view(bench, rows, vectors):
    return leakage.view_of(rows, [leakage.mean_update([v], bench.layout) for v in vectors])


def test_a_unit_of_one_example_is_the_image():
    image = np.array([0.25, 0.5, 1.0])
    bias = np.array([0.5, 0.0, -2.0])
    found = leakage.invert({"weight": np.outer(bias, image), "bias": bias})
    assert found.tolist() == [image.tolist()] * 2  # the unit without a step says nothing


def test_an_image_is_as_alike_as_the_best_unit_shows_it():
    found = np.array([[0.0, 2.0], [3.0, 3.0]])
    alike = leakage.cosines(np.array([[0.0, 1.0], [1.0, 0.0]]), found)
    np.testing.assert_allclose(alike, [1.0, np.sqrt(0.5)])


def test_plaintext_updates_of_one_example_give_images_and_labels_away(bench, rows, vectors):
    seen = view(bench, rows, vectors)
    assert seen.recovered >= 0.95
    assert seen.labels >= 0.95


def test_a_masked_update_gives_noise(bench, rows, vectors):
    keys = fixed_keys()
    seen = view(bench, rows, [leakage.masked(v, bench.layout, keys) for v in vectors])
    assert seen.absolute_correlation < 0.2
    assert seen.recovered == seen.alike == 0.0


def test_the_masked_update_is_the_update_once_its_masks_are_taken_off(bench, rows, vectors):
    keys, again = fixed_keys(), fixed_keys()
    seen = [leakage.masked(v, bench.layout, keys) for v in vectors[:5]]
    start, end, _, _ = bench.layout.ends
    for vector, hidden in zip(vectors, seen, strict=False):
        masks = [Mask(again(16), is_added=i % 2 == 1) for i in range(leakage.MASKS)]
        opened = apply_masks(hidden, masks, bench.layout.fixed.modulus_bits)
        assert (opened[start:end] == vector[start:end]).all()


def test_a_sum_over_fifty_gives_away_much_less_than_one_update(bench):
    population = leakage.stepping(bench, 1)
    _, alone, _ = leakage.attack_sums(population, 1)
    examples, of_fifty, outsiders = leakage.attack_sums(population, 50)
    assert examples == 50
    assert alone >= 0.95
    assert of_fifty < 0.3
    assert outsiders < 0.01


def test_a_sum_over_five_is_no_protection(bench):
    population = leakage.stepping(bench, 1)
    examples, recovered, _ = leakage.attack_sums(population, 5)
    assert examples == 5
    assert recovered > 0.6  # an attack on one of the five alone would find 0.2


def test_examples_count_and_not_how_they_are_spread_over_clients(bench):
    part = leakage.take(leakage.draw(bench, "spread"), slice(16))
    together = leakage.mean_update([leakage.one_step(bench, part, "all")], bench.layout)
    quarters = [leakage.take(part, slice(i, i + 4)) for i in range(0, 16, 4)]
    steps = [leakage.one_step(bench, quarter, str(i)) for i, quarter in enumerate(quarters)]
    apart = leakage.mean_update(steps, bench.layout)
    rounding = bench.layout.fixed.step * bench.layout.w_max / 16  # of one client's coordinate
    for name, update in together.items():
        np.testing.assert_allclose(apart[name], update, rtol=0, atol=5 * rounding)


def test_chosen_weights_read_rows_and_the_templates_bounds_leave_few_of_them():
    """Of 341 rows in one sum: six hundred units read a fifth, the template's one for two of its own."""
    template = imprint.ASKED[1]
    wide = replace(imprint.ASKED[0], hidden=600)
    before, now = imprint.measure([wide, template], sums=1)
    assert before.rows == now.rows == 341
    assert before.one_sum > 60
    assert 0 < now.one_sum <= template.hidden / 2


def test_what_the_attack_asks_for_is_what_the_template_allows():
    bounds = task_template("csv").bounds
    asked = imprint.ASKED[1]
    values = {
        "task.hidden": asked.hidden,
        "training.lr": asked.lr,
        "training.batch_size": asked.batch_size,
        "training.epochs": asked.epochs,
        "privacy.clip": asked.clip,
        "privacy.n_max": asked.n_max,
    }
    assert not [key for key, value in values.items() if not is_within(value, bounds[key])]
    assert not is_within(asked.hidden + 1, bounds["task.hidden"])
