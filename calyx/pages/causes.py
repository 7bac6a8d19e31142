"""Why a model may have stayed behind, and which key to change. Pure.

Nothing is guessed: each cause is named only where the run's own files show it, and says what they
show. Where a model is far behind and none is seen, that is said. See docs/decisions/0047.
"""

from collections.abc import Sequence

from calyx.pages.folder import Run, preprocessing_of
from calyx.pages.scales import shorten
from calyx.pages.verdict import Remark
from calyx.run.rows import RoundRow
from calyx.words.digits import number_texts
from calyx.words.sentences import join_names

FEW_ROUNDS = 5  # after the best one: fewer tell no trend
RISE = 0.03  # of the best validation loss: a rise that is no noise
FEW = 0.5  # of the clients: a cohort that is smaller trains on little
MISSING = 0.1  # of the replies
OFTEN = 0.2  # of the rounds
SITES_ROUNDS = 100  # more are outside of the bounds that a site's policy begins with
MOST_COLUMNS = 3  # named in a sentence


def causes(run: Run, *, is_behind: bool) -> list[Remark]:
    """What may be changed of a finished run, and why; more is looked for where its model `is_behind`."""
    always = [_last(run), _overfitted(run)]
    if not is_behind:
        return [one for one in always if one]
    possible = [_scaled(run), *always, _few_clients(run), _missing(run), _clipped(run)]
    return [one for one in possible if one] or [_NOTHING]


_MORE = "More rounds may help:"
_NOTHING = Remark(
    "cause",
    "Nothing in this run's files says why the model is behind.",
    "Another training.lr, more training.epochs, or another seed would tell more.",
    "why it is behind, nothing in this run's files says",
)


def _scaled(run: Run) -> Remark | None:
    """Clients that scale their rows by their own means lose what sets them apart; pooled rows do not."""
    cfg = run.settings.preprocessing
    used, why = preprocessing_of(run)
    if used != "local" or cfg is None or cfg.scaling == "none":
        return None
    shifts = _shifts(run)
    apart = f", and the audit found that sites differ ({shifts})" if shifts else ""
    seen = (
        "Each client scaled its inputs by its own mean and spread (preprocessing=local), so that one "
        f"value means another thing at each{apart}; for the pooled model all rows were scaled alike."
    )
    if why:  # the run would have used federated constants, and could not
        return Remark("inputs", seen, why, f"each client's are scaled by its own rows alone. {why}")
    bounds = _unbounded(run)
    first = f" The schema must declare low and high of {bounds} for it." if bounds else ""
    brief = "preprocessing=federated: each client scaled by its own mean"
    brief += ", and the audit found that sites differ" if shifts else ""
    return Remark("try", seen, f"Try preprocessing=federated.{first}", brief)


def _shifts(run: Run) -> str:
    """The columns, and the labels, in which the audit found sites to differ."""
    shifts = [f for f in run.audit.findings if f.check.endswith("-shift")] if run.audit else []
    labels = ["the shares of labels"] if any(f.check == "label-shift" for f in shifts) else []
    columns = list(dict.fromkeys(shorten(f.column, 40) for f in shifts if f.column))
    more = len(columns) - MOST_COLUMNS
    shown = columns[:MOST_COLUMNS] + ([f"{more} more"] if more > 0 else [])
    return ", ".join(labels + shown)


def _unbounded(run: Run) -> str:
    """The numeric columns of a table's schema that have no range; empty where the config has none."""
    schema = run.settings.task.schema
    columns = schema.get("columns") if isinstance(schema, dict) else None
    if not isinstance(columns, dict):
        return ""
    numeric = {
        k: c for k, c in columns.items() if isinstance(c, dict) and c.get("kind") == "numeric"
    }
    missing = [str(k) for k, c in numeric.items() if c.get("low") is None or c.get("high") is None]
    return join_names([shorten(name, 40) for name in missing])


def _last(run: Run) -> Remark | None:
    """A run that ended by its number of rounds while its model was still becoming better."""
    summary, patience = run.summary, run.settings.stopping.patience
    if summary is None or not summary.best_round:
        return None
    best, done = summary.best_round, summary.rounds
    if done - best > done // 10 or (patience is not None and done - best >= patience):
        return None
    where = "The best round was the last" if best == done else f"Round {best} was the best"
    seen = f"{where} of {done}{_change(run, best)}."
    more = max(min(2 * done, SITES_ROUNDS), done + 1) if done < SITES_ROUNDS else 2 * done
    brief = f"{where[0].lower()}{where[1:]} of {done}; more may help:"
    return Remark("rounds", seen, _MORE, brief, f"rounds={more}")


def _change(run: Run, best: int) -> str:
    """How far the figure by which rounds are chosen has come in the last tenth of them."""
    values = {row.round: row.figure(run.settings.stopping.monitor) for row in run.rounds}
    before = best - max(1, best // 10)
    one, other = values.get(before), values.get(best)
    if one is None or other is None or one == other:
        return ""
    texts = number_texts([one, other])
    return f": {run.settings.stopping.monitor} went from {texts[0]} in round {before} to {texts[1]}"


def _overfitted(run: Run) -> Remark | None:
    """Losses that part: the training's falls on, the validation's rises."""
    summary, rows = run.summary, run.rounds
    losses = [row.figure(name) for row in rows for name in ("val_loss", "train_loss")]
    if summary is None or summary.best_round is None or None in losses or not rows:
        return None
    best = min(rows, key=lambda row: row.figure("val_loss") or 0.0)
    after = rows[rows.index(best) + 1 :]
    if len(after) < FEW_ROUNDS:
        return None
    ends = [_mean(after[-3:], "val_loss"), _mean(after[-3:], "train_loss")]
    starts = [best.figure("val_loss") or 0.0, best.train_loss or 0.0]
    if ends[0] < starts[0] + RISE * abs(starts[0]) or ends[1] > starts[1] - RISE * abs(starts[1]):
        return None
    val, train = number_texts([starts[0], ends[0]]), number_texts([starts[1], ends[1]])
    seen = (
        f"After round {best.round} the training loss still fell, from {train[0]} to {train[1]}, while "
        f"the validation loss rose, from {val[0]} to {val[1]}: the model learns its rows by heart."
    )
    key = _smaller(run)
    return Remark(
        "try", seen, f"Try {key}.", f"{key}: from round {best.round} on the model overfits"
    )


def _smaller(run: Run) -> str:
    """The key that makes a model, or its training, smaller."""
    hidden, training = run.settings.task.hidden, run.settings.training
    if isinstance(hidden, int) and hidden > 0:
        return "task.hidden=0, a linear model"
    if not isinstance(training.epochs, int) or training.epochs < 2:
        return "training.weight_decay=0.001"
    stopping = training.early_stopping
    is_off = isinstance(stopping, dict) and stopping.get("patience") is None
    more = ", or training.early_stopping.patience=2, which is off" if is_off else ""
    return f"training.epochs=1{more}"


def _mean(rows: Sequence[RoundRow], name: str) -> float:
    return sum(row.figure(name) or 0.0 for row in rows) / len(rows)


def _few_clients(run: Run) -> Remark | None:
    size, num = run.settings.cohort_size, run.summary.num_clients if run.summary else None
    if not size or not num or size > FEW * num:
        return None
    seen = f"In each round only {size} of {num} clients trained."
    brief = f"a larger cohort_size: only {size} of {num} clients trained in a round"
    return Remark("try", seen, "Try a larger cohort_size, or more rounds.", brief)


def _missing(run: Run) -> Remark | None:
    asked = sum(len(row.cohort) for row in run.rounds)
    gone = sum(len(row.dropped) for row in run.rounds)
    if not gone or gone < MISSING * asked:
        return None
    seen = f"{gone} of {asked} replies of clients are missing from the rounds' sums."
    brief = f"{gone} of {asked} replies are missing; the report's findings say why"
    return Remark("replies", seen, "The findings below say why.", brief)


def _clipped(run: Run) -> Remark | None:
    clip = run.settings.privacy.clip if run.settings.privacy else None
    warned = [e for e in run.events if e.event == "clipped" and e.severity == "warning"]
    rounds = len({event.round for event in warned})
    if not isinstance(clip, int | float) or not rounds or rounds < OFTEN * len(run.rounds):
        return None
    seen = f"In {rounds} of {len(run.rounds)} rounds coordinates of updates were cut to ±{clip:g}."
    brief = f"privacy.clip={4 * clip:g}: updates were cut to ±{clip:g} in {rounds} rounds"
    return Remark("try", seen, f"Try privacy.clip={4 * clip:g}, or a smaller training.lr.", brief)
