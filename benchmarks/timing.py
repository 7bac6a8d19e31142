"""What a server reads off the time of a site's replies: with a pace nothing, without one every bit.

`python -m benchmarks.timing` asks five sites forty questions of one bit each, over real processes
with TLS and node keys (each in a network namespace where that is allowed, as root, else on
loopback): with `pace_s`, and without as a control that the attack works at all. The attacker sees
what a server sees, of replies and of requests, and knows nine tenths of the answers when it learns
to read the last. Sites have no bounds and no limits of a day, and take runs that never were: else
most of the questions would be refused. `--short` has the questions answered in this process and
reads the sites' own journals: what a clock would show of them without a pace. `--json` prints one
JSON object and nothing else.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.deploy import other_server
from benchmarks.fleet import Fleet
from benchmarks.timing_questions import Asker, Question, Secrets, asker_of, questions, write_rows
from calyx.files.plain import read_lines
from calyx.flower.messages import as_task
from calyx.questions.registry import question_of
from calyx.wire import messages as wire

HERE = Path(__file__).resolve().parent
SITES = tuple(f"site-{i}" for i in range(5))
WARM_UP = 2  # questions of which nothing is counted: sites import PyTorch in the first
FOLDS = 10
WORTH_EPOCHS = 20  # more mean yes: a no takes two


@dataclass(frozen=True)
class Attack:
    """The questions, and what is true."""

    asker: Asker
    questions: list[Question]
    secrets: Secrets

    @property
    def bits(self) -> int:
        """That are asked for."""
        return len(self.questions) * len(SITES)

    def truth(self, rows: Sequence[dict[str, Any]]) -> NDArray[np.bool_]:
        """Of each row of replies the right answer."""
        return np.array([self.secrets.of(r["site"], self.questions[r["question"]]) for r in rows])


def main(arguments: Sequence[str] | None = None) -> None:
    """Attack, and print how many bits were read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.timing", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--short", action="store_true", help="without processes, by journals")
    parser.add_argument("--markers", type=int, default=20, help="two questions a site each")
    parser.add_argument("--pace", type=float, default=0.5, help="seconds, against none")
    parser.add_argument("--seed", type=int, default=1, help="of who is ill")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="calyx-timing-") as folder:
        data = Path(folder) / "rows"
        secrets = write_rows(data, SITES, options.markers, options.seed)
        attack = Attack(asker_of(data, SITES), questions(options.markers), secrets)
        if options.short:
            found = {"bits": attack.bits, "right_by_journals": _by_journals(attack, data)}
        else:
            found = _over_processes(attack, Path(folder), data, options.pace)
    if options.json:
        json.dump(found, sys.stdout)
        return
    table = Table("figure", "found", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in found.items():
        table.add_row(name, str(value))
    Console().print(table)


def _over_processes(attack: Attack, folder: Path, data: Path, pace_s: float) -> dict[str, Any]:
    home = folder / "fleet"
    home.mkdir()
    found: dict[str, Any] = {"bits": attack.bits, "pace_s": pace_s}
    with Fleet(home, SITES, data) as fleet:
        found["machines"] = "loopback" if fleet.why_loopback else "network namespaces"
        for name, pace in (("without_pace", 0.0), ("with_pace", pace_s)):
            rows = _asked(fleet, attack, name, pace)
            truth = attack.truth(rows)
            right = _guessed(_seen(fleet, rows), truth) == truth
            found[f"right_{name}"] = int(right.sum())
            arrived = np.array([row["arrived_s"] for row in rows])
            found[f"median_s_{name}"] = {
                word: round(float(np.median(arrived[truth == bit])), 3)
                for word, bit in (("no", False), ("yes", True))
            }
    return found


def _asked(fleet: Fleet, attack: Attack, name: str, pace_s: float) -> list[dict[str, Any]]:
    """The rows of the server app, but for those of the questions that warm the sites up."""
    env = other_server(fleet.folder / name, HERE / "timing_server.py")
    fleet.serve(env=env)
    fleet.join(pace_s=pace_s)
    asked = [attack.questions[0]] * WARM_UP + attack.questions
    orders = [attack.asker.ask(question, name, i) for i, question in enumerate(asked)]
    job, out = fleet.folder / f"{name}.json", fleet.folder / f"{name}-seen.json"
    as_lists = [
        {"order": text, "weights": {k: v.tolist() for k, v in weights.items()}}
        for text, weights in orders
    ]
    job.write_text(json.dumps(as_lists))
    script = [sys.executable, "-P", str(HERE / "timing_server.py"), str(fleet.control)]
    fleet.run([*script, "keys/ca.crt", str(job), str(out)], timeout=1800)
    fleet.down()
    rows: list[dict[str, Any]] = json.loads(out.read_text())
    refused = {row["code"] for row in rows if row["code"] is not None}
    if refused:
        raise SystemExit(f"Sites refused a question: {', '.join(sorted(refused))}.")
    kept = [row for row in rows if row["question"] >= WARM_UP]
    return [row | {"question": row["question"] - WARM_UP} for row in kept]


def _seen(fleet: Fleet, rows: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """Of each reply [N, F] what a server knows of its time: by the message, and by the requests.

    On loopback all sites have one address, and requests are not told apart.
    """
    requests = read_lines(fleet.folder / "server-state" / "audit.jsonl")
    found = []
    for row in rows:
        address = fleet.network.address(row["site"]) if fleet.network else fleet.host
        until = min([r["sent"] for r in rows if r["sent"] > row["sent"]], default=float("inf"))
        own = [r for r in requests if r["address"] == address and row["sent"] <= r["time"] < until]
        message = [row[key] for key in ("arrived_s", "rank", "created_s", "lifetime_s")]
        found.append([*message, *_of_requests(own, row["sent"])])
    return np.array(found, dtype=np.float64)


def _of_requests(own: Sequence[dict[str, Any]], sent: float) -> list[float]:
    """How many a site made after a question, of how many bytes, and when the first of each kind."""

    def of(kind: str) -> list[dict[str, Any]]:
        return [row for row in own if row["path"].endswith(f"/{kind}")]

    def moments(kind: str) -> list[float]:
        found = [row["time"] - row["seconds"] - sent for row in of(kind)]
        return [float(len(found)), *[*sorted(found), -1.0, -1.0][:2]]

    came = moments("confirm-message-received")
    kinds = ("push-messages", "push-object", "pull-messages", "send-node-heartbeat")
    told = [value for kind in kinds for value in moments(kind)]
    # From the moment on when the site had the order: the network's time is not the site's.
    since = [value - came[1] for value in told if value >= 0]
    return [len(own), sum(row["bytes"] for row in own), *came, *told, *(since + [0.0] * 12)[:12]]


def _guessed(seen: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each bit [N], by a forest that has learned from the other nine tenths."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import KFold, cross_val_predict

    forest = RandomForestClassifier(n_estimators=300, random_state=0)
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    guessed: NDArray[np.bool_] = cross_val_predict(forest, seen, truth, cv=folds)
    return guessed


def _by_journals(attack: Attack, data: Path) -> int:
    """Answers that are right when told by the epochs that each site's journal has."""
    from calyx.simulation.identities import throw_away
    from client import journal
    from client.app import app
    from client.config import node_config

    keys, right = throw_away(SITES), 0
    as_task(1)
    for number, question in enumerate(attack.questions):
        text, weights = attack.asker.ask(question, "run", number)
        for site in SITES:
            section = attack.asker.client | {"data_dir": str(data)}
            node = node_config(site, section, keys.keys_of(site))
            content = wire.order_content(weights, text)
            message = Message(content, 7, question_of("train").message_type)
            with journal.collect_notes() as notes:
                app(message, Context(1, 7, dict(node), RecordDict(), {}))
            (epochs,) = [note.fields["epochs"] for note in notes if note.kind == "train"]
            right += (epochs > WORTH_EPOCHS) == attack.secrets.of(site, question)
    return right


if __name__ == "__main__":
    main()
