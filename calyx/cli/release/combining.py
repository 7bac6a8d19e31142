"""What a release of several models holds: one file that answers as they do together, and one card.

The models are those of several runs, or of the folds of one that were combined in it (`cv.combine`). What
a combination gained is told where sites have judged it, on rows that no member has trained on; see
docs/decisions/0094.
"""

import hashlib
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from calyx.cli.release.contents import Contents, files_of, read_contents
from calyx.cli.release.folds import read_folds
from calyx.cli.trained import Trained
from calyx.config.section import digest
from calyx.errors import ConfigError, UserError
from calyx.model.combining import Combine, check_combine
from calyx.model.ensemble import MOST_MEMBERS, check_alike, ensemble_bytes
from calyx.model.released import Description, ReleasedModel, describe
from calyx.releases.card import Card
from calyx.releases.card_parts import (
    Ensemble,
    FiguresPart,
    Identity,
    ModelPart,
    PrivacyPart,
)

NOT_JUDGED = (
    "no site was asked about these models together: only the folds of one run that has cv.combine are judged "
    "on rows that none of them has trained on"
)
FIGURES = ("score", "best_member", "mean_member", "gain", "gain_over_mean")


@dataclass(frozen=True)
class Member:
    """One model of a combination."""

    model: ReleasedModel
    description: Description
    sha256: str  # of its own file


@dataclass(frozen=True)
class Combination:
    """Everything that is released of models that answer as one."""

    contents: tuple[Contents, ...]  # of each run; of the one run whose folds they are
    members: tuple[Member, ...]
    part: Ensemble

    @property
    def trained(self) -> Trained:
        """The first run."""
        return self.contents[0].trained

    def files(self, identity: Identity, created: datetime) -> dict[str, bytes]:
        """As `Contents.files`."""
        members = [(one.model, one.description) for one in self.members]
        data = ensemble_bytes(members, self.part.combine)
        return files_of(self._card(identity, created, data), data, created)

    def _card(self, identity: Identity, created: datetime, data: bytes) -> Card:
        """The first run's card, with what all of them say in place of what is of its model alone."""
        first, cards = self.contents[0], [one.card(identity, created) for one in self.contents]
        extras = replace(first.extras, ensemble=self.part)
        card = replace(first, extras=extras).card(identity, created)
        alone = {"confusion": "the test counted it of each model alone"}
        alone |= {"robust": "it was asked of each model alone"}
        config = card.config
        left_out = card.config_left_out
        if len(cards) > 1:
            config = {"members": [one.config for one in cards]}
            left_out = {
                f"members.{i}.{key}": why
                for i, one in enumerate(cards)
                for key, why in one.config_left_out.items()
            }
        return replace(
            card,
            model=_model_part([one.model for one in cards], self.members, data),
            test=self._test_part(card),
            validation=_untold("each member was chosen on the validation rows of its own training"),
            compared=_untold("models to compare with: see the runs of the members"),
            confusion=None,
            robust=None,
            privacy=_privacy_part([one.privacy for one in cards]),
            config=config,
            config_left_out=left_out,
            config_sha256=digest(config),
            order_sha256=_joined([one.order_sha256 for one in cards]),
            run=" ".join(dict.fromkeys(one.run for one in cards)),
            absent=card.absent | alone,
        )

    def _test_part(self, card: Card) -> FiguresPart:
        """The combination's own score by which releases are compared, or why there is none."""
        name, told = f"test_{card.task.metric}", self.part.figures
        value = told.figures["score"]
        absent = {} if value is not None else {name: told.absent["score"]}
        return FiguresPart(
            of=told.of, figures={name: value}, absent=absent, rows=told.rows, score=name
        )


def add_combine(parser: ArgumentParser) -> None:
    """The words that make one release of several models."""
    parser.add_argument(
        "--combine",
        choices=get_args(Combine),
        help="release all these runs as one model: the mean of their answers, or a vote",
    )
    parser.add_argument(
        "--folds",
        action="store_true",
        help="release the folds of a run with cv.combine as one model, with what that gained",
    )


def read_all(runs: Sequence[Path], options: Namespace) -> Contents | Combination:
    """What is to be released of these runs. Raises UserError, which says what to change."""
    if options.combine is None and not options.folds:
        if len(runs) > 1:
            raise UserError(
                f"{len(runs)} runs are named: release one of them, or all as one model with --combine mean "
                "(or vote)."
            )
        return read_contents(runs[0], options)
    if options.client is not None or options.common or options.onnx:
        raise UserError(
            "A combination is of models of all clients, and has no ONNX: leave client=NAME, --common and "
            "--onnx out."
        )
    if options.folds:
        return _of_folds(runs, options)
    return _of_runs(runs, options)


def _of_folds(runs: Sequence[Path], options: Namespace) -> Combination:
    if len(runs) > 1 or options.combine is not None:
        raise UserError(
            "--folds is of one run, and its cv.combine says how they are combined: name one run, and leave "
            "--combine out."
        )
    contents = read_contents(runs[0], options)
    folds = read_folds(contents.trained)
    members = tuple(Member(*one) for one in folds.members)
    of = "the folds' models on everybody's test rows, which none of them has trained on"
    values = folds.test.figures
    absent = {name: folds.test.absent[name] for name, v in values.items() if v is None}
    figures = FiguresPart(of=of, figures=dict(values), absent=absent, rows=folds.rows)
    return _combine((contents,), members, folds.test.combine, figures)


def _of_runs(runs: Sequence[Path], options: Namespace) -> Combination:
    if not 2 <= len(runs) <= MOST_MEMBERS:
        raise UserError(
            f"--combine is of 2 to {MOST_MEMBERS} runs, and {len(runs)} is named; the folds of one run are "
            "combined with --folds."
        )
    contents = tuple(read_contents(run, options) for run in runs)
    members = tuple(_member(one) for one in contents)
    for i, one in enumerate(members):
        if one.sha256 in [other.sha256 for other in members[:i]]:
            raise UserError(f"{runs[i]} has the very model of a run before it; name each once.")
    figures = FiguresPart(
        of="the models together, on test rows",
        figures=dict.fromkeys(FIGURES),
        absent=dict.fromkeys(FIGURES, NOT_JUDGED),
        rows=None,
    )
    return _combine(contents, members, options.combine, figures)


def _member(contents: Contents) -> Member:
    trained, model = contents.trained, contents.chosen.model
    cfg = replace(model.preprocessing, fitted=None)
    said = describe(trained.task, trained.run.task, cfg)
    return Member(model, said, hashlib.sha256(contents.chosen.data).hexdigest())


def _combine(
    contents: tuple[Contents, ...],
    members: tuple[Member, ...],
    combine: Combine,
    figures: FiguresPart,
) -> Combination:
    """Raises UserError for models that cannot answer as one."""
    models, said = zip(*((one.model, one.description) for one in members), strict=True)
    try:
        check_alike(models, said)
        check_combine(models[0].task.schema, combine)
    except ConfigError as error:
        raise UserError(f"These models cannot be combined: {error}") from None
    part = Ensemble(combine=combine, members=tuple(m.sha256 for m in members), figures=figures)
    return Combination(contents, members, part)


def _untold(of: str) -> FiguresPart:
    return FiguresPart(of=of, figures={}, absent={}, rows=None)


def _model_part(parts: Sequence[ModelPart], members: Sequence[Member], data: bytes) -> ModelPart:
    """What is true of all members; how they differ stands in the config."""
    first = parts[0]
    released = {part.released_round for part in parts} if len(parts) == len(members) else {None}
    return replace(
        first,
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=sum(a.size for one in members for a in one.model.weights.values()),
        strategy=" + ".join(dict.fromkeys(part.strategy for part in parts)),
        training=_shared([part.training for part in parts]),
        preprocessing=_shared([part.preprocessing for part in parts]),
        rounds=max(part.rounds for part in parts),
        released_round=released.pop() if len(released) == 1 else None,
        stopped_because="; ".join(dict.fromkeys(part.stopped_because for part in parts)),
        left_out=max(part.left_out for part in parts),
    )


def _shared(sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The keys whose values all sections have in common."""
    first, *others = sections
    return {k: v for k, v in first.items() if all(k in o and o[k] == v for o in others)}


def _privacy_part(parts: Sequence[PrivacyPart]) -> PrivacyPart:
    """What holds of all: one member whose updates were not encrypted speaks for the whole."""
    mode: Literal["secagg", "none"] = "none" if any(p.mode == "none" for p in parts) else "secagg"
    return replace(
        parts[0],
        mode=mode,
        guarantee=tuple(dict.fromkeys(s for part in parts for s in part.guarantee)),
        not_protected=tuple(dict.fromkeys(s for part in parts for s in part.not_protected)),
        clients=_same([part.clients for part in parts]),
        sums=_same([part.sums for part in parts]),
    )


def _same(values: Sequence[int | None]) -> int | None:
    return values[0] if len(set(values)) == 1 else None


def _joined(hashes: Sequence[str]) -> str:
    """The hash itself, or of several one over all."""
    return hashes[0] if len(hashes) == 1 else digest({"members": list(hashes)})
