"""Whether a row was trained on, told from answers: TPR at 1 % FPR, by probabilities and by labels alone.

Who asks knows the row and its true class. Members are the training rows of a default run, others its test
rows. LiRA (Carlini et al. 2022, alg. 1) compares a row's confidence with those of shadow models that were
trained on halves of these very rows: far more than a caller has. Of labels alone (Choquette-Choo et al.
2021) there is whether the answer is right, and how often it stays so under noise.

Shapes: N rows, S shadow models, K classes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.stealing.victims import Labels, Policy, Values, Victim
from calyx.data.schema import join
from calyx.model.weights import initial_model
from calyx.seeding import global_scope, rng
from calyx.serving.reference import draw_rows

FPR = 0.01
SHADOW_STEPS = 1500
NOISY = 50  # copies of a row
_NOISE = 0.2  # of the typical spread, by which each number of a copy moves
_LEAST = 1e-4  # probability, since a rounded one may be 0


@dataclass(frozen=True)
class Attack:
    """How well one attack tells members."""

    name: str
    policy: str
    tpr: float  # share of members told, where 1 % of the others are told falsely
    auc: float  # 0.5: a coin


def attack_all(victim: Victim, policies: tuple[Policy, ...], shadows: int) -> list[Attack]:
    """All attacks on one victim. With probabilities: loss and LiRA; with labels: whether right, and noise."""
    rows, labels, is_member = _both(victim)
    inputs = victim.model.prepare(rows)
    scores = _train_shadows(victim, inputs, labels, shadows)
    found = []
    for policy in policies:
        told = victim.ask(rows, policy)
        if policy.answer == "label":
            right = (told.argmax(axis=1) == labels).astype(np.float64)
            noisy = _ask_noisy(victim, rows, labels, policy)
            found.append(_judge("is it right", policy, right, is_member))
            found.append(_judge("is it right under noise", policy, noisy, is_member))
            continue
        own = _log_odds(told, labels)
        found.append(_judge("loss", policy, own, is_member))
        found.append(_judge("LiRA", policy, _compare(own, *scores), is_member))
    return found


def _both(victim: Victim) -> tuple[Values, Labels, NDArray[np.bool_]]:
    parts = [victim.part("train"), victim.part("test")]
    table = join(parts)
    return table.x, table.y, np.repeat([True, False], [len(part) for part in parts])


def _train_shadows(
    victim: Victim, inputs: NDArray[np.float32], labels: Labels, count: int
) -> tuple[Values, NDArray[np.bool_]]:
    """Log-odds [S, N] of the true class by models trained on halves of the rows, and the halves [S, N]."""
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    inside = np.zeros((count, len(inputs)), dtype=bool)
    scores = np.zeros((count, len(inputs)))
    for shadow in range(count):
        draw = rng(shadow, "stealing-shadows")
        inside[shadow] = draw.permutation(len(inputs)) % 2 == 0
        own = np.flatnonzero(inside[shadow])
        network = initial_model(victim.model.task, inputs.shape[1], 1000 + shadow)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        with global_scope(shadow, "stealing-shadows"):
            for _ in range(SHADOW_STEPS):
                part = torch.from_numpy(own[draw.integers(0, len(own), 32)])
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(network(x[part]), y[part])
                loss.backward()  # type: ignore[no-untyped-call] # PyTorch has not typed it
                optimizer.step()
        with torch.no_grad():
            scores[shadow] = _log_odds(network(x).double().softmax(dim=1).numpy(), labels)
    return scores, inside


def _log_odds(told: Values, labels: Labels) -> Values:
    """ln p / (1 − p) [N] of the true class, of probabilities [N, K]."""
    own = np.clip(told[np.arange(len(labels)), labels], _LEAST, 1 - _LEAST)
    return np.asarray(np.log(own) - np.log1p(-own))


def _compare(own: Values, scores: Values, inside: NDArray[np.bool_]) -> Values:
    """LiRA's log-likelihood ratio [N]: normal of models with the row against those without it."""
    sides = []
    for side in (inside, ~inside):
        masked = np.ma.masked_array(scores, ~side)
        mean, sd = masked.mean(axis=0).filled(0), masked.std(axis=0).filled(1) + 1e-3
        sides.append(-0.5 * ((own - mean) / sd) ** 2 - np.log(sd))
    return np.asarray(sides[0] - sides[1])


def _ask_noisy(victim: Victim, rows: Values, labels: Labels, policy: Policy) -> Values:
    """The share [N] of noisy copies of each row that are answered with its true class."""
    draw = rng(0, "stealing-noise")
    is_code = np.array([bool(c.categories) for c in victim.schema.columns])
    spread = np.nanstd(draw_rows(victim.schema, victim.population, draw, 1000), axis=0)
    sizes = np.where(is_code, 0.0, _NOISE * spread)
    right = np.zeros(len(rows))
    for _ in range(NOISY):
        moved = rows + sizes * draw.standard_normal(rows.shape)
        right += victim.ask(moved, policy).argmax(axis=1) == labels
    return right / NOISY


def _judge(name: str, policy: Policy, scores: Values, is_member: NDArray[np.bool_]) -> Attack:
    return Attack(name, policy.name, *measure(scores[is_member], scores[~is_member]))


def measure(members: Values, others: Values) -> tuple[float, float]:
    """TPR at 1 % FPR, and the area under the curve, of scores that are higher for members.

    Told are those above a threshold; ties stay together, so that never more than 1 % of `others` are told.
    """
    ordered = np.sort(others)[::-1]
    threshold = ordered[int(FPR * len(ordered))]
    below, upto = (np.searchsorted(np.sort(others), members, side) for side in ("left", "right"))
    return float((members > threshold).mean()), float((below + upto).mean() / 2 / len(others))
