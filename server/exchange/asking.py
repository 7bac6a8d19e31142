"""One exchange with its retries, and what events.jsonl is told of it."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp import Grid

from calyx.files.plain import append_lines
from calyx.model.weights import Weights
from calyx.run.json_rows import as_json
from calyx.run.rows import Event, make_event
from calyx.wire import messages as wire
from calyx.wire import records
from server.exchange.exchange import Exchange, Outcome, TooFewReplies, total_counts
from server.federation import Federation, Place
from server.left_out import read_left_out
from server.sampling import Groups
from server.weighing import num_capped, say_capped

FEW_CUT = 0.01  # of all coordinates of the clients' updates

Configure = Callable[[int, ArrayRecord, ConfigRecord, Grid], Iterable[Message]]


def ask(
    federation: Federation, exchange: Exchange, weights: Weights
) -> tuple[Outcome, list[Message]]:
    """The outcome of an exchange, and one reply a group for the strategy.

    Raises TooFewReplies after `retries` repeats, or at once where a repeat is not allowed: a
    client gives one masked vector for a model, unless the old sum can never be opened.
    """
    strategy = federation.strategy
    configure: Configure = (
        strategy.configure_train if exchange.kind == "train" else strategy.configure_evaluate
    )
    return _asked(federation, exchange, weights, configure)


def ask_all(where: Place, exchange: Exchange, weights: Weights) -> Outcome:
    """The outcome of an exchange that is no strategy's business. Raises TooFewReplies, as `ask`."""

    def configure(
        number: int, arrays: ArrayRecord, settings: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        content = wire.strategy_content(arrays, settings)
        return [Message(content, node, "query") for node in grid.get_node_ids()]

    return _asked(where, exchange, weights, configure)[0]


def _asked(
    where: Place, exchange: Exchange, weights: Weights, configure: Configure
) -> tuple[Outcome, list[Message]]:
    run, grid = where.run, where.grid
    exchange = grid.take_up(exchange)
    while True:
        grid.open(exchange)
        messages = configure(exchange.round, records.weights_record(weights), ConfigRecord(), grid)
        try:
            replies = list(grid.send_and_receive(messages, timeout=run.deadline_s))
        except TooFewReplies as error:
            _note(where, error.outcome)
            collected = error.outcome.collected
            if exchange.attempt > run.retries or not collected.is_repeatable:
                raise
            where.folder.event(
                "retry", "warning", f"{error}; it is repeated.", round=exchange.round
            )
            exchange = replace(
                exchange,
                attempt=exchange.attempt + 1,
                groups=_without(exchange.groups, collected.accused),
                abandoned=(*exchange.abandoned, *collected.abandoned),
            )
            grid.open(exchange)
            grid.wait_for_cohort()  # a client that crashed or lost its link may be back in a moment
            continue
        _note(where, grid.outcome)
        return grid.outcome, replies


def _without(groups: Groups, accused: frozenset[str]) -> Groups:
    return tuple(tuple(name for name in group if name not in accused) for group in groups)


def _note(where: Place, outcome: Outcome) -> None:
    folder, exchange = where.folder, outcome.exchange
    number = exchange.round
    events = []
    gone = {one.client for one in read_left_out(folder)} if outcome.dropped else set()
    for name, why in sorted(outcome.dropped.items()):
        reason = "it is left out, since its rows have changed" if name in gone else why
        message = f"{name} is not in the sums of round {number} ({exchange.kind}): {reason}."
        events.append(
            make_event(
                "client-dropped", "warning", message, round=number, client=name, reason=reason
            )
        )
    for name in sorted(outcome.collected.accused):
        message = (
            f"More clients accuse {name} than may collude; it is left out of the next attempt."
        )
        events.append(make_event("client-accused", "error", message, round=number, client=name))
    events += [
        make_event(
            "odd-sum",
            "warning",
            f"In the sum of group {group} in round {number} ({exchange.kind}) {odd}; see who is in it.",
            round=number,
            group=group,
        )
        for group, odd in outcome.collected.odd
    ]
    events += [
        make_event("bad-shares", "error", note, round=number) for note in outcome.collected.notes
    ]
    events += _cut(outcome)
    capped = num_capped(outcome)
    if capped:
        say_capped(folder, capped, len(exchange.cohort), where.grid.contents.w_max)
    if events:
        append_lines(folder.events, map(as_json, events))  # at once: each append is synced


def _cut(outcome: Outcome) -> list[Event]:
    """What was cut to ±clip: of few coordinates that is what the clip is for, of many a warning."""
    cut = int(total_counts(outcome.trained)["clipped"][0]) if outcome.trained else 0
    if not cut:
        return []
    number = outcome.exchange.round
    all_of_them = sum(part.size for part in outcome.trained[0].update.values()) * outcome.replies
    said = (
        f"{cut} of {all_of_them} coordinates of updates were cut to ±privacy.clip in round {number}"
    )
    if cut <= FEW_CUT * all_of_them:
        return [make_event("clipped", "info", f"{said}.", round=number)]
    more = "; a larger privacy.clip would keep them."
    return [make_event("clipped", "warning", said + more, round=number)]
