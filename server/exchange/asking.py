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
from server.exchange.cohort_grid import Answer, CohortGrid
from server.exchange.exchange import Exchange, Outcome, TooFewReplies, total_counts
from server.exchange.giving_up import take_up
from server.exchange.parts import join, split
from server.federation import Federation, Training
from server.left_out import read_left_out
from server.sampling import present
from server.weighing import say_capped

FEW_CUT = 0.01  # of all coordinates of the clients' updates

Configure = Callable[[int, ArrayRecord, ConfigRecord, Grid], Iterable[Message]]


def ask(training: Training, exchange: Exchange, weights: Weights) -> Answer:
    """The outcome of an exchange, and one reply a group for the strategy.

    Raises TooFewReplies after `retries` repeats, or at once where a repeat is not allowed: a
    client gives one masked vector for a model, unless the old sum can never be opened.
    """
    strategy = training.strategy
    configure: Configure = (
        strategy.configure_train if exchange.question.trains else strategy.configure_evaluate
    )
    return _ask_parts(training, exchange, weights, configure)


def ask_all(federation: Federation, exchange: Exchange, weights: Weights) -> Outcome:
    """The outcome of an exchange that is no strategy's business. Raises TooFewReplies, as `ask`."""

    def configure(
        number: int, arrays: ArrayRecord, settings: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        content = wire.strategy_content(arrays, settings)
        return [Message(content, node, "query") for node in grid.get_node_ids()]

    return _ask_parts(federation, exchange, weights, configure).outcome


def _ask_parts(
    federation: Federation, exchange: Exchange, weights: Weights, configure: Configure
) -> Answer:
    """Ask in as many parts as sums have room for, most often in one."""
    privacy, least = federation.run.privacy, federation.run.min_replies
    parts = split(exchange, privacy.n_max, least)
    answers = [_attempt_until(federation, part, weights, configure) for part in parts]
    return Answer(
        outcome=join([answer.outcome for answer in answers]),
        trained=tuple(message for answer in answers for message in answer.trained),
        evaluated=tuple(message for answer in answers for message in answer.evaluated),
    )


def _attempt_until(
    federation: Federation, exchange: Exchange, weights: Weights, configure: Configure
) -> Answer:
    """Attempt an exchange until it has enough replies, or may not be repeated."""
    if federation.underway is not None:
        exchange = take_up(federation, federation.underway, exchange)
    while True:
        grid, arrays = CohortGrid(federation, exchange), records.weights_record(weights)
        messages = configure(exchange.round, arrays, ConfigRecord(), grid)
        try:
            answer = grid.attempt(messages)
        except TooFewReplies as error:
            _note(federation, error.outcome)
            if exchange.attempt > federation.run.retries or not error.outcome.sums.is_repeatable:
                raise
            message = f"{error}; it is repeated."
            federation.folder.event("retry", "warning", message, round=exchange.round)
            exchange = _next_attempt(exchange, error.outcome)
            # A client that crashed or lost its link may be back in a moment.
            federation.clients.channel.wait_for(exchange.cohort)
        else:
            _note(federation, answer.outcome)
            return answer


def _next_attempt(exchange: Exchange, outcome: Outcome) -> Exchange:
    """The exchange once more, without whom too many accuse, and with what proves that it may be."""
    return replace(
        exchange,
        attempt=exchange.attempt + 1,
        groups=present(exchange.groups, {*exchange.cohort} - outcome.sums.accused),
        abandoned=(*exchange.abandoned, *outcome.sums.abandoned),
    )


def _note(federation: Federation, outcome: Outcome) -> None:
    folder, exchange = federation.folder, outcome.exchange
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
    for name in sorted(outcome.sums.accused):
        message = (
            f"More clients accuse {name} than may collude; it is left out of the next attempt."
        )
        events.append(make_event("client-accused", "error", message, round=number, client=name))
    events += [
        make_event(
            "odd-sum",
            "warning",
            f"In the sum of group {odd.group} in round {number} ({exchange.kind}) {odd.sentence}; see "
            "who is in it.",
            round=number,
            group=odd.group,
        )
        for odd in outcome.odd
    ]
    events += [make_event("bad-shares", "error", note, round=number) for note in outcome.sums.notes]
    events += _clip_events(outcome, federation.template)
    capped, asked = outcome.num_capped, len(exchange.cohort)
    # All events are read to say it once in a run; once since this server was started is looked up.
    if capped and (capped, asked) not in federation.watch.capped:
        federation.watch.capped.add((capped, asked))
        say_capped(folder, capped, asked, federation.contents.w_max)
    if events:
        append_lines(
            folder.events, map(as_json, events), is_synced=False
        )  # the round's end does that


def _clip_events(outcome: Outcome, template: Weights) -> list[Event]:
    """How many coordinates were cut to ±clip: a few are what the clip is for, many are a warning."""
    cut = int(total_counts(outcome.trained)["clipped"][0]) if outcome.trained else 0
    if not cut:
        return []
    number = outcome.exchange.round
    parameters = sum(template[name].size for name in outcome.trained[0].update)
    all_of_them = parameters * outcome.replies
    said = (
        f"{cut} of {all_of_them} coordinates of updates were cut to ±privacy.clip in round {number}"
    )
    if cut <= FEW_CUT * all_of_them:
        return [make_event("clipped", "info", f"{said}.", round=number)]
    more = "; a larger privacy.clip would keep them."
    return [make_event("clipped", "warning", said + more, round=number)]
