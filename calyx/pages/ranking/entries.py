"""A run as far as it is compared: its setting and seed, its figure, and of which rows that is."""

from dataclasses import dataclass

from calyx.model.metrics import PERSONAL
from calyx.model.populations import Population, is_same_population
from calyx.run.summary import Summary
from calyx.words.digits import number_texts
from calyx.words.sentences import say_count


@dataclass(frozen=True)
class Kind:
    """What a figure is: of two kinds neither is the better one."""

    task: str
    figure: str  # its name; the same for common and for own models, which answer for the same rows
    over: str = "rows"  # what it is a mean over
    classes: tuple[str, ...] = ()
    is_smaller_better: bool = True

    @property
    def sign(self) -> int:
        """1 where the smallest value leads, −1 where the largest does."""
        return 1 if self.is_smaller_better else -1


@dataclass(frozen=True)
class Entry:
    """One run. `value` is None where there is no figure, and `why` says so in a clause."""

    name: str  # its job's number, or its folder
    settings: tuple[tuple[str, str], ...]  # what sets it apart from others, but for the seed
    seed: str
    value: float | None = None
    why: str = "it is not finished"
    figure: str = ""  # the full name of what `value` is
    kind: Kind | None = None
    rows: Population | None = None  # of whom the figure is: `validated_on` or `tested_on`
    model: str | None = None  # SHA-256


def figure_of(objective: str, metric: str) -> str:
    """The figure by which jobs of such an objective are compared, without its `best_`.

    A regression's loss is in units of its target's scale, which a schema may choose; two are
    compared by their error in the target's own unit, which has the same order on the same rows.
    """
    is_regression = metric != "accuracy"
    is_loss = is_regression and objective.endswith("loss")
    return f"{objective.removesuffix('loss')}rmse" if is_loss else objective


def is_smaller_better(figure: str) -> bool:
    """Whether less of it is better, which its name says: of a loss and an error, not of a score."""
    return not figure.endswith(("accuracy", "r2"))


def why_absent(summary: Summary, name: str) -> str:
    """Why a summary has no such figure, as a clause."""
    return summary.absent.get(name) or f"its summary.json has no {name}"


def kind_of(summary: Summary, figure: str) -> Kind:
    """What `figure` of a summary is."""
    whose = summary.whose(figure)
    # Own models answer for the same rows as the common one: of these two either may be the better.
    plain = f"test_{figure}" if figure.startswith(PERSONAL) else figure
    plain = plain.replace(PERSONAL, "", 1)
    return Kind(
        task=summary.task,
        figure=plain,
        over=whose.over if whose else "rows",
        classes=summary.classes,
        is_smaller_better=is_smaller_better(plain),
    )


def is_same_rows(one: Population | None, other: Population | None) -> bool:
    """Whether two figures are of the same rows, as far as what was summed over them tells.

    What two runs of an earlier version have not written down is taken for the same.
    """
    return (one is None and other is None) or is_same_population(one, other)


def rows_text(rows: Population) -> str:
    """The rows that a figure is of, in words: 1,200 rows of 20 clients."""
    whose = say_count(rows.clients, "client")
    of = whose if rows.rows is None else f"{rows.rows:,} rows of {whose}"
    if rows.target_mean is None or rows.target_sd is None:
        return of
    mean, deviation = number_texts([rows.target_mean, rows.target_sd])
    return f"{of}, whose target is {mean} ± {deviation}"
