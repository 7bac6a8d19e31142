"""Geometric median by the smoothed Weiszfeld algorithm: Pillutla et al., arXiv:1912.13445."""

import numpy as np
import pytest
from scipy.optimize import minimize

from strategies.algorithm import GroupUpdate
from strategies.geometric_median import GeometricMedian, GeometricMedianServer, weiszfeld

NU = 1e-6


def objective(z, points, alphas):
    return float((alphas * np.linalg.norm(points - z, axis=1)).sum())


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_optimum_that_scipy_finds(seed):
    rng = np.random.default_rng(seed)
    points, weights = rng.standard_normal((9, 4)), rng.uniform(1, 5, 9)
    alphas = weights / weights.sum()
    found = weiszfeld(points, alphas, NU, 1000)
    theirs = minimize(
        objective,
        points.mean(axis=0),
        (points, alphas),
        "Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 10**5, "maxfev": 10**5},
    )
    np.testing.assert_allclose(found, theirs.x, atol=1e-4)
    assert objective(found, points, alphas) <= theirs.fun + 1e-9


def test_one_iteration_by_hand():
    points, alphas = np.array([[0.0], [1.0], [8.0]]), np.array([0.25, 0.5, 0.25])
    # From the mean 2.5 the distances are 2.5, 1.5 and 5.5.
    beta = alphas / [2.5, 1.5, 5.5]
    assert weiszfeld(points, alphas, NU, 1) == pytest.approx((beta @ points) / beta.sum())


def test_it_ends_at_a_point_that_holds_half_of_the_weight():
    points, alphas = np.array([[3.0, 4.0], [0.0, 0.0], [10.0, 0.0]]), np.array([0.6, 0.2, 0.2])
    np.testing.assert_allclose(weiszfeld(points, alphas, NU, 1000), [3.0, 4.0], atol=1e-5)


def test_nu_keeps_it_finite_where_all_groups_agree():
    groups = [GroupUpdate({"w": np.array([[2.0, -1.0]])}, n) for n in (1, 5, 9)]
    algorithm = GeometricMedian(GeometricMedianServer(nu=NU, iterations=100))
    assert algorithm.combine(groups)["w"] == pytest.approx(np.array([[2.0, -1.0]]))


@pytest.mark.parametrize("distance", [1e2, 1e4, 1e6])
def test_its_breakdown_point_is_half_of_the_weight(distance):
    """Below half of the weight bad groups move it by a bounded way, however far they are."""
    rng = np.random.default_rng(3)
    honest = rng.uniform(-1, 1, (6, 3))
    bad = np.full((5, 3), distance)
    alphas = np.full(11, 1 / 11)
    with_bad = weiszfeld(np.concatenate([honest, bad]), alphas, NU, 10_000)
    # Lopuhaä and Rousseeuw 1991, on whom the paper builds: 2·radius·(1 − share)/(1 − 2·share).
    radius, share = np.linalg.norm(honest, axis=1).max(), 5 / 11
    assert np.linalg.norm(with_bad) <= 2 * radius * (1 - share) / (1 - 2 * share)
    majority = weiszfeld(
        np.concatenate([honest[:5], np.full((6, 3), distance)]), alphas, NU, 10_000
    )
    assert np.linalg.norm(majority) > distance / 2


def test_a_group_counts_by_its_weight():
    algorithm = GeometricMedian(GeometricMedianServer(nu=NU, iterations=1000))
    rows = ([0.0], [1.0], [9.0])
    light, heavy = (
        algorithm.combine(
            [GroupUpdate({"w": np.array(row)}, n) for row, n in zip(rows, ns, strict=True)]
        )["w"]
        for ns in ((1, 1, 1), (1, 1, 3))
    )
    assert light == pytest.approx([1.0], abs=1e-4)
    assert heavy == pytest.approx([9.0], abs=1e-4)


def test_two_groups_are_too_few():
    algorithm = GeometricMedian(GeometricMedianServer(nu=NU, iterations=3))
    algorithm.check_groups(3)
    with pytest.raises(ValueError, match="gives 2 groups, of which none can be outvoted"):
        algorithm.check_groups(2)
