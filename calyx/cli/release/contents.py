"""What a release of a run holds: its files as bytes, all made before the first of them is written.

The folder of the run is read by the house's careful reader, and may be a stranger's. Nothing secret and no
row goes into a release; clients are counted, and named only where that is asked for.
"""

import hashlib
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from calyx.cli.release.conformal import conformal_part
from calyx.cli.release.data import Looked, read_looked
from calyx.cli.release.figures import compared_part, robust_part, test_part, validation_part
from calyx.cli.release.model import Chosen, choose
from calyx.cli.release.parts import lock_part, model_part, privacy_part, schema_part, task_part
from calyx.cli.release.settings import clean_config, hidden_names, hide_names
from calyx.cli.trained import Trained, add_client, read_trained
from calyx.config.section import digest
from calyx.errors import UserError, printable
from calyx.pages.card import card_page
from calyx.releases.card import FORMAT, Card, card_bytes, read_card
from calyx.releases.card_parts import Ensemble, Identity, OnnxPart, Reasons, Robust
from calyx.releases.onnx_file import OPSET, export
from calyx.releases.packages import SERVING, list_needed
from calyx.releases.sbom import Subject, sbom_bytes
from calyx.run.folder import RunFolder
from calyx.run.order import run_digest
from calyx.run.summary import Summary
from calyx.trust.measured import contents as read_code

MOST_NOTE = 10_000  # characters
_NOT_ASKED = {
    "ensemble": "it is one model",
    "robust": "the run asked no question about moved rows",
    "onnx": "it was not asked for (--onnx)",
}


@dataclass(frozen=True)
class Extras:
    """Parts that others than the run's own files give, and the files that belong to them."""

    ensemble: Ensemble | None = None
    robust: Robust | None = None
    onnx: OnnxPart | None = None
    absent: Reasons = field(
        default_factory=dict
    )  # why one is not there, if it is not the usual reason
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """Everything that is released of a run; the release's own name and date are still to be told."""

    trained: Trained
    chosen: Chosen
    looked: Looked
    note: str
    are_clients_named: bool
    extras: Extras = field(default_factory=Extras)

    def files(self, identity: Identity, created: datetime) -> dict[str, bytes]:
        """The files by name, all but the manifest and its signatures. `created` has a time zone."""
        files = files_of(self.card(identity, created), self.chosen.data, created)
        return files | self.extras.files

    def card(self, identity: Identity, created: datetime) -> Card:
        """The card. Raises UserError where Calyx's own code cannot be read."""
        trained, chosen, extras = self.trained, self.chosen, self.extras
        summary = trained.summary
        hidden = hidden_names(trained.task.clients, are_told=self.are_clients_named)
        config, left_out = clean_config(trained.config, hidden)
        reasons = {"confusion": summary.absent.get("test_confusion", _why_no_confusion(trained))}
        reasons |= _NOT_ASKED | self.looked.absent | extras.absent
        is_combined = extras.ensemble is not None
        conformal, why = conformal_part(summary, chosen.client, is_combined=is_combined)
        reasons = {"conformal": why} | reasons
        robust, why = robust_part(summary, trained.config), _NOT_ASKED["robust"]
        if (
            is_combined or chosen.client is not None
        ):  # the run's figures are not of what is released
            robust, why = extras.robust, "the run moved rows against another model than this one"
        reasons["robust"] = extras.absent.get("robust", why)
        parts: dict[str, Any] = {
            "confusion": summary.test_confusion,
            "audit": self.looked.audit,
            "baseline": self.looked.baseline,
            "conformal": conformal,
            "ensemble": extras.ensemble,
            "robust": robust,
            "onnx": extras.onnx,
        }
        return Card(
            format=FORMAT,
            release=identity,
            created=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            note=self.note,
            task=task_part(trained.task, summary),
            schema=schema_part(trained.task.schema),
            model=model_part(trained, chosen),
            test=test_part(summary, chosen),
            validation=validation_part(summary),
            compared=compared_part(summary),
            privacy=privacy_part(trained),
            config=config,
            config_left_out=left_out,
            config_sha256=digest(config),
            order_sha256=run_digest(trained.config),
            code=_code(),
            lock=lock_part(),
            versions={name: value or "unknown" for name, value in summary.versions.items()},
            run=summary.run or "",
            absent={name: reasons[name] for name, part in parts.items() if part is None},
            **parts,
        )


def files_of(card: Card, model: bytes, created: datetime) -> dict[str, bytes]:
    """The files of a release by name, of its card and its model's file."""
    subject = Subject(
        name=card.release.name,
        version=card.release.version,
        model_sha256=card.model.sha256,
        calyx=card.lock.packages.get("calyx", "unknown"),
        code=card.code,
    )
    others = [card.task.package.distribution] if card.task.package else []
    written = card_bytes(card)
    return {
        "model.safetensors": model,
        "card.json": written,
        "card.html": card_page(
            read_card(written)
        ),  # who signs makes it again of the file, in its order
        "sbom.json": sbom_bytes(subject, list_needed([*SERVING, *others]), created),
    }


def add_words(parser: ArgumentParser) -> None:
    """The words of `calyx release` that say what is released: the run comes before, the folder after."""
    add_client(parser, "for which client, where the run has a model or a preprocessing of each")
    parser.add_argument("--note", default="", help="licence, intended use: text for the card")
    parser.add_argument(
        "--onnx", action="store_true", help="model.onnx as well (needs the extra onnx)"
    )
    parser.add_argument(
        "--name-clients",
        action="store_true",
        help="name the clients in the card, which counts them",
    )


def read_contents(run: Path, options: Namespace) -> Contents:
    """What is to be released of the run in this folder. Raises UserError, which says what to change."""
    note: str = options.note.strip()
    if len(note) > MOST_NOTE:
        raise UserError(
            f"--note has {len(note):,} characters, and at most {MOST_NOTE:,} fit a card."
        )
    folder = RunFolder(run)
    config = folder.read_config()
    phases = config.get("phases")
    if isinstance(phases, list) and "release" not in phases:
        raise UserError(
            f"{run} is an audit, and trained no model; name a run that has trained to its end."
        )
    trained = read_trained(folder, config)
    _check_whole(trained)
    chosen = choose(trained, options)
    hidden = hidden_names(trained.task.clients, are_told=options.name_clients)
    looked = read_looked(trained, hidden)
    trained = replace(trained, summary=_hide_names(trained.summary, hidden))
    extras = _export(chosen) if options.onnx else Extras()
    return Contents(trained, chosen, looked, note, options.name_clients, extras)


def _export(chosen: Chosen) -> Extras:
    """The model as ONNX too. Raises as `export`."""
    made = export(chosen.model)
    part = OnnxPart(
        sha256=hashlib.sha256(made.data).hexdigest(),
        opset=OPSET,
        rows=made.rows,
        tolerance=made.tolerance,
        greatest=made.greatest,
    )
    return Extras(onnx=part, files={"model.onnx": made.data})


def _hide_names(summary: Summary, clients: Collection[str]) -> Summary:
    """The summary with "a client" for each name in its sentences."""

    def hide(reasons: Mapping[str, str]) -> dict[str, str]:
        return {name: hide_names(why, clients) for name, why in reasons.items()}

    baselines = summary.baselines
    return replace(
        summary,
        stopped_because=hide_names(summary.stopped_because, clients),
        absent=hide(summary.absent),
        baselines=baselines and replace(baselines, absent=hide(baselines.absent)),
    )


def _check_whole(trained: Trained) -> None:
    """Raise UserError unless model and summary are of one run."""
    said, here = trained.summary.model_sha256, hashlib.sha256(trained.data).hexdigest()
    if said == here and trained.summary.task == trained.task.name:
        return
    if said is None:
        raise UserError(
            f"{trained.folder.summary} does not say which model it is of: an earlier version of Calyx wrote "
            "it. Run again, and release that run."
        )
    raise UserError(
        f"{trained.folder.model} is not the model that summary.json speaks of (SHA-256 {here[:16]}…, and "
        f"not {printable(said, 16)}…); restore both from a copy, or run again."
    )


def _why_no_confusion(trained: Trained) -> str:
    if trained.task.schema.target is not None:
        return "a regression has no classes"
    return "the run does not tell it"


def _code() -> str:
    try:
        return read_code().code
    except OSError as error:
        raise UserError(f"Calyx's own code cannot be read: {error}.") from None
