"""What a person sees of a running run: a live display on a terminal, one plain line a round elsewhere,
and one every ten seconds of whatever takes longer.

It listens to the server's log and to the engine's progress, and starts no thread: workers may
have to be forked again at any moment.
"""

import logging
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from calyx.cli.stages import Pace, progress_line, stage_name
from calyx.model.metrics import ROBUST, metric_name
from calyx.run.rows import RoundRow, figure_text
from calyx.simulation.planning import Plan

REFRESH_S = 0.1
_BLOCKS = "▁▂▃▄▅▆▇█"
_MOST_BLOCKS = 40  # of a sparkline
_MARGINS = 4  # columns of the picture's own edge and between names, figures and sparklines


class Display(logging.Handler):
    """A context manager: shows a run while it is inside.

    With a `mark`, which tells runs at the same time apart, it keeps to plain lines that begin so.
    """

    def __init__(
        self, plan: Plan, mark: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(logging.INFO)
        self._plan, self._mark = plan, mark
        self._console = Console()
        self._rows: list[RoundRow] = []
        self._stage, self._of, self._detail = ("starting", 0, 1), "clients", ""
        self._live: Live | None = None
        self._clock, self._pace = clock, Pace(clock)
        self._shown = 0.0
        self._warned: set[str] = set()

    def __enter__(self) -> "Display":
        """Begin to listen and to show."""
        logging.getLogger().addHandler(self)
        logging.getLogger("server").setLevel(logging.INFO)
        if self._console.is_terminal and not self._mark:
            self._live = Live(
                self._picture(), console=self._console, auto_refresh=False, transient=True
            )
            self._live.start(refresh=True)
        for sentence in self._plan.warnings:
            self._warn(sentence)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the display away; what was logged stays."""
        logging.getLogger().removeHandler(self)
        if self._live:
            self._live.stop()

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        """So many clients of a stage are done, or models of the baselines."""
        self._stage, self._detail = (stage_name(what), done, total), detail
        self._of = "models" if what == "baselines" else "clients"
        if self._live is None and self._pace.is_due():
            number = self._rows[-1].round + 1 if self._rows and what == "train" else None
            where = "" if number is None else f"round {number}: "
            self._say(where + progress_line(what, done, total, detail))
        self._refresh(force=done == total and not what.startswith("query."))

    def emit(self, record: logging.LogRecord) -> None:
        """A round's row updates the display; warnings and plain lines are printed."""
        row: RoundRow | None = getattr(record, "row", None)
        if row is not None:
            self._rows.append(row)
        if record.levelno >= logging.WARNING:
            self._warn(self.format(record))  # with the traceback, if it has one
        elif self._live is None:
            self._say(record.getMessage())
        self._refresh(force=True)

    def _say(self, line: str) -> None:
        print(f"{self._mark}{line}", flush=True)
        self._pace.restart()

    def _warn(self, message: str) -> None:
        first, *trace = message.splitlines()
        if trace and not logging.getLogger().isEnabledFor(logging.DEBUG):
            message = f"{first} (the traceback is shown with --debug)"
        if message not in self._warned:
            self._warned.add(message)
            self._console.print(Text(f"{self._mark}warning: {message}", style="yellow"))

    def _refresh(self, *, force: bool) -> None:
        now = self._clock()
        if self._live and (force or now - self._shown > REFRESH_S):
            self._shown = now
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        run, task = self._plan.run, self._plan.task
        head = Text.assemble(
            ("calyx  ", "bold magenta"),
            (f"{task.name}", "bold"),
            f" · {run.strategy.name} · {len(task.clients)} clients",
            f" · privacy {run.privacy.name} · seed {run.seed}",
        )
        done = self._rows[-1].round if self._rows else 0
        what, clients, total = self._stage
        bars = Table.grid(padding=(0, 1))
        bars.add_row(
            "rounds",
            ProgressBar(run.rounds, done, width=40),
            f"{done}/{run.rounds}",
            self._left(done),
        )
        bars.add_row(
            self._of,
            ProgressBar(max(1, total), clients, width=40),
            f"{clients}/{total}",
            Text(what, style="dim"),
        )
        more = [Text(self._detail, style="dim")] if self._detail else []
        return Padding(Group(head, bars, *more, *self._figures()), (0, 0, 0, 1))

    def _figures(self) -> list[RenderableType]:
        if not self._rows:
            return []
        last, monitor = self._rows[-1], self._plan.run.stopping.monitor
        table = Table.grid(padding=(0, 1))
        for _ in range(3):  # names and figures are whole; the sparkline takes what room is left
            table.add_column(no_wrap=True)
        metric = metric_name(self._plan.task.schema)
        styles = {"train_loss": "cyan", "val_loss": "yellow", f"val_{metric}": "green"}
        styles |= {monitor: "green"}
        if self._plan.run.robust.every is not None:
            styles[f"val_{ROBUST}{metric}"] = "magenta"
        asked = [one for one in self._rows if one.score(ROBUST) is not None]
        texts = {key: figure_text(key, _newest(key, last, asked)) for key in styles}
        beside = max(map(len, styles)) + max(map(len, texts.values())) + _MARGINS
        room = min(_MOST_BLOCKS, self._console.width - beside)
        for key, style in styles.items():
            figures = [row.figure(key) for row in self._rows]
            known = [figure for figure in figures if figure is not None]
            newest = known[-room:] if room > 0 else []
            line = Text(sparkline(newest), style=style)
            table.add_row(key, Text(texts[key], style="bold"), line)
        note = self._best(last.best_round, monitor)
        dropped = last.dropped
        if dropped:
            note += f" · without {', '.join(dropped[:4])}{' …' if len(dropped) > 4 else ''}"
        return [table, Text(note, style="dim")]

    def _best(self, number: int | None, monitor: str) -> str:
        """The best round so far in words; its row is not known where it was before a resume."""
        if number is None:
            return "no round is called best"
        value = next((row.figure(monitor) for row in self._rows if row.round == number), None)
        return f"best {monitor}{'' if value is None else f' {figure_text(monitor, value)}'} in round {number}"

    def _left(self, done: int) -> Text:
        recent = self._rows[-5:]
        if not recent:
            return Text("")
        seconds = sum(row.seconds for row in recent) / len(recent) * (self._plan.run.rounds - done)
        return Text(
            f"at most {seconds:.0f} s left" if done < self._plan.run.rounds else "", style="dim"
        )


def _newest(key: str, last: RoundRow, asked: list[RoundRow]) -> float | None:
    """The last round's figure; of what is not asked in each round, the last that is known."""
    if not key.startswith(f"val_{ROBUST}"):
        return last.figure(key)
    return asked[-1].figure(key) if asked else None


def sparkline(values: list[float]) -> str:
    """Values as a row of block characters, lowest to highest; a constant row is flat, none is empty."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[int((v - low) / span * (len(_BLOCKS) - 1))] for v in values)
