"""Partitions: every row exactly once, from the seed alone, as uneven as asked, or refused in words."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calyx.data.partitions import (
    PartitionConfig,
    iid,
    natural,
    partition,
    quantity,
    shards,
)
from calyx.errors import ConfigError
from calyx.seeding import rng

KINDS = ("dirichlet", "iid", "shards", "quantity")


def config(**changes) -> PartitionConfig:
    values = {
        "name": "demo",
        "num_clients": 10,
        "partition": "dirichlet",
        "alpha": 0.3,
        "shards_per_client": 2,
        "min_rows": 1,
        "w_max": 256,
    }
    return PartitionConfig(**(values | changes))


def labels_of(counts: Sequence[int]) -> np.ndarray:
    """`counts[k]` rows of label k, in no order."""
    return rng(7, "test").permutation(np.repeat(np.arange(len(counts)), counts))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=6),
    st.sampled_from(KINDS),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.3, 1.0, 100.0]),
    st.integers(0, 2**63 - 1),
)
def test_every_row_goes_to_exactly_one_client_and_each_has_enough_or_it_is_refused(
    counts, kind, num_clients, pieces, min_rows, alpha, seed
):
    labels = labels_of(counts)
    cfg = config(
        num_clients=num_clients,
        partition=kind,
        shards_per_client=pieces,
        min_rows=min_rows,
        alpha=alpha,
    )
    assume(len(labels) >= num_clients * min_rows)  # else check_rows refuses, below
    try:
        parts = partition(cfg, labels, seed)
    except ConfigError:
        assert kind in ("dirichlet", "shards")  # the others can always keep min_rows
        return
    assert len(parts) == num_clients
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert min(map(len, parts)) >= min_rows
    assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_partition_comes_from_its_seed_and_from_nothing_else(kind):
    labels, cfg = labels_of([100] * 5), config(partition=kind)
    first, again, other = (partition(cfg, labels, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_iid_gives_sizes_that_differ_by_at_most_one_and_all_labels():
    labels = labels_of([200] * 5)
    parts = partition(config(partition="iid", num_clients=7), labels, 1)
    assert {len(part) for part in parts} == {142, 143}
    assert all(len(np.unique(labels[part])) == 5 for part in parts)


def test_shards_give_each_client_so_many_labels_at_most():
    """McMahan 2017: 100 clients, 2 shards each, most with examples of two labels only."""
    labels = labels_of([600] * 10)
    parts = partition(config(partition="shards", num_clients=100), labels, 1)
    held = [len(np.unique(labels[part])) for part in parts]
    assert max(held) == 2
    assert {len(part) for part in parts} == {60}


def test_one_shard_is_one_label_and_as_many_as_rows_is_iid():
    labels = labels_of([50] * 10)
    draw = rng(1, "test")
    one = shards(labels, config(partition="shards", shards_per_client=1), draw)
    assert sorted(int(labels[part][0]) for part in one) == list(range(10))
    many = shards(labels, config(partition="shards", shards_per_client=50), draw)
    assert min(len(np.unique(labels[part])) for part in many) >= 8


def test_quantity_skews_sizes_and_leaves_labels_alike():
    labels = labels_of([1000] * 4)
    parts = quantity(len(labels), config(alpha=0.5, min_rows=20), rng(1, "test"))
    sizes = sorted(map(len, parts))
    assert sizes[0] >= 20
    assert sizes[-1] > 5 * sizes[0]
    for part in parts:
        shares = np.bincount(labels[part], minlength=4) / len(part)
        assert abs(shares - 0.25).max() < 3 * np.sqrt(0.25 * 0.75 / len(part)) + 1e-9


def test_a_large_alpha_makes_quantities_equal():
    parts = quantity(4000, config(alpha=1e6), rng(1, "test"))
    assert max(map(len, parts)) - min(map(len, parts)) < 10


def test_rows_by_a_column_are_each_values_own():
    owners = np.array([3, 1, 3, 2, 1, 3])
    found = natural(owners)
    assert {k: v.tolist() for k, v in found.items()} == {1: [1, 4], 2: [3], 3: [0, 2, 5]}
    assert list(natural(np.array(["b", "a", "b"]))) == ["a", "b"]


def test_shards_too_small_for_min_rows_are_refused_with_the_keys_to_change():
    with pytest.raises(
        ConfigError, match=r"200 shards of 500 rows leave a client 4 rows.*min_rows"
    ):
        partition(config(partition="shards", num_clients=100, min_rows=5), labels_of([50] * 10), 1)


def test_more_rows_than_there_are_are_refused():
    with pytest.raises(ConfigError, match=r"need 110 rows, and demo has 109"):
        config(min_rows=11).check_rows(109)
    config(min_rows=11).check_rows(110)


def test_an_iid_partition_of_fewer_rows_than_clients_leaves_some_empty():
    assert [len(part) for part in iid(2, 3, rng(1, "test"))] == [1, 1, 0]


def test_a_dirichlet_partition_deals_each_label_by_shares_drawn_anew():
    """The published algorithm, one client and one label after another."""
    labels, cfg = labels_of([40, 25, 35]), config(num_clients=6, alpha=0.5, min_rows=3)
    draw, clients = rng(5, "partition"), [[]]
    while min(map(len, clients)) < 3:
        clients = [[] for _ in range(6)]
        for label in range(3):
            rows = draw.permutation(np.flatnonzero(labels == label))
            ends = (np.cumsum(draw.dirichlet([0.5] * 6))[:-1] * len(rows)).astype(int)
            for own, part in zip(clients, np.split(rows, ends), strict=True):
                own.extend(part)
    dealt = partition(cfg, labels, 5)
    assert [part.tolist() for part in dealt] == [sorted(own) for own in clients]
