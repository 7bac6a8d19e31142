"""Which setting of a comparison is best, and whether that is more than seeds do by themselves. Pure."""

from collections.abc import Sequence
from statistics import mean

from calyx.model.metrics import PERSONAL
from calyx.pages.ranking.remarks import remarks
from calyx.pages.ranking.significance import FEWEST, Difference, difference
from calyx.pages.ranking.standings import Group, Standing
from calyx.pages.verdict import Verdict
from calyx.words.digits import deviation_text, number_texts, percent_texts

_NOTHING = Verdict("Nothing to compare yet", "open", "Fewer than two settings have a finished run.")
_MORE = "run more, say seed=1,2,3,4,5"


def verdict_of(groups: Sequence[Group], metric: str) -> Verdict:
    """Which setting is best by a test's `metric`, in words; a difference within chance is none.

    With fewer than three seeds each, or figures that do not vary, there is no saying.
    """
    known = [group for group in groups if group.kind]
    if len(known) > 1:
        return Verdict("They do not compare", "open", f"{_say_settings(known)}.")
    if not known:
        return _NOTHING
    (group,) = known
    if len(group.leaders) > 1:
        return _tie(group, metric)
    pair = _pair(group)
    if pair is None:
        return _none(group)
    return _judge(*pair, metric, _whose(group))


def score_texts(values: Sequence[float | None], metric: str) -> list[str]:
    """Scores as they are read: an accuracy in percent, an R² as it is."""
    return percent_texts(values) if metric == "accuracy" else number_texts(values)


def _say_settings(groups: Sequence[Group]) -> str:
    first = remarks(groups, "run")[0]
    return first[:1].upper() + first[1:]


def _none(group: Group) -> Verdict:
    with_figures = [line for line in group.lines if line.values]
    if len(with_figures) < 2:
        return _NOTHING
    reasons = "; ".join(sentence for sentence in remarks([group], "run") if "place" in sentence)
    reason = f"{reasons[:1].upper()}{reasons[1:]}." if reasons else _NOTHING.reason
    return Verdict("It cannot be told", "open", reason)


def _pair(group: Group) -> tuple[Standing, Standing] | None:
    """The two best; settings that share no seed have no place, and are compared by their means."""
    placed = [line.standing for line in group.placed]
    if len(placed) > 1:
        return placed[0], placed[1]
    whole = [line.standing for line in group.lines if line.standing.is_whole]
    if placed or len(whole) != 2 or whole[0].values.keys() & whole[1].values.keys():
        return None
    sign = group.kind.sign if group.kind else 1
    first, second = sorted(whole, key=lambda one: sign * mean(one.values.values()))
    return first, second


def _tie(group: Group, metric: str) -> Verdict:
    [text] = score_texts([mean(group.leaders[0].values)], metric)
    names = ", ".join(f"“{line.standing.label}”" for line in group.leaders)
    return Verdict("A tie", "open", f"{names} have the same test {metric}{_whose(group)}, {text}.")


def _whose(group: Group) -> str:
    """That all figures are of clients' own models, if they are; a remark says it of some."""
    return " (of clients' own models)" if all(PERSONAL in n for n in group.figures) else ""


def _judge(first: Standing, second: Standing, metric: str, whose: str) -> Verdict:
    gap = difference(first.values, second.values)
    words = _words(first, second, metric, whose)
    fewest = min(_independent(one, other) for one, other in ((first, second), (second, first)))
    if fewest < FEWEST or gap.margin is None:
        return Verdict("It cannot be told", "open", f"{words} {_too_few(gap, fewest)}")
    [margin] = score_texts([gap.margin], metric)
    if metric == "accuracy":
        margin = f"{margin.split()[0]} points"
    if gap.ahead <= gap.margin:
        return Verdict(
            "Too close to call", "open", f"{words} Seeds alone can do that (±{margin} at 95 %)."
        )
    return Verdict(
        first.label,
        "yes",
        f"{words} That is more than seeds alone do (±{margin} at 95 %).",
    )


def _independent(one: Standing, other: Standing) -> int:
    """How many repetitions of the seeds that are compared are not copies of each other."""
    seeds = [s for s in one.values if s in other.values] or list(one.values)
    models = [one.model_of(seed) for seed in seeds]
    return len({model for model in models if model is not None}) + models.count(None)


def _too_few(gap: Difference, fewest: int) -> str:
    if fewest < gap.num_seeds:
        models = "the same model" if fewest == 1 else f"only {fewest} different models"
        return (
            f"All {gap.num_seeds} seeds gave {models}, so that they do not tell what chance does."
        )
    if fewest < FEWEST:
        seeds = "one seed each" if fewest == 1 else f"{fewest} seeds each"
        return f"That is from {seeds}: {_MORE}."
    return f"No figure varies over {fewest} seeds, which is no certainty: {_MORE}."


def _words(first: Standing, second: Standing, metric: str, whose: str) -> str:
    shared = [s for s in first.values if s in second.values]
    means = [mean(one.values[s] for s in shared or one.values) for one in (first, second)]
    texts = score_texts(means, metric)
    gap = deviation_text(means[0] - means[1], texts[0])
    less = f"{gap.split()[0]} points less" if metric == "accuracy" else f"{gap} less"
    return f"“{first.label}” has a test {metric} of {texts[0]}{whose}, “{second.label}” {texts[1]}, {less}."
