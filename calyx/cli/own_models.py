"""Which model of a run answers for a client: the common one, or its own as the run judged it."""

from dataclasses import dataclass, replace

from calyx.cli.fitted import Whose
from calyx.errors import UserError
from calyx.model.released import ReleasedModel
from calyx.model.weights import Weights
from calyx.run.folder import RunFolder
from client.learning.store import Store
from server.config import RunConfig
from strategies.local import load_objective


@dataclass(frozen=True)
class Answering:
    """The model that predicts, and a sentence on whose it is, "" where there is one model only."""

    model: ReleasedModel
    note: str = ""


def model_of(
    folder: RunFolder, run: RunConfig, model: ReleasedModel, whose: Whose | None
) -> Answering:
    """The released `model` of a run as it is for the client `whose`, or the common one without a client.

    By the strategy's interface: where it has personal models, the client's; where layers stay at
    the clients, the common model with the client's own. Raises UserError where there is none.
    """
    strategy = run.strategy.name
    objective = load_objective(strategy, run.strategy.local)
    is_personal, makeup = objective.personal() is not None, model.makeup
    if not (is_personal or objective.is_localised(makeup)):
        return Answering(model)
    if whose is None:
        if objective.kept(makeup):
            raise UserError(
                f"strategy={strategy} keeps layers at each client, so that there is no common model: "
                "give client=NAME."
            )
        return Answering(
            model,
            "This is the common model of all clients; the summary's figures named personal_* are of "
            "the clients' own models: give client=NAME for one of them.",
        )
    summary = folder.read_summary()
    best = summary.released_round or summary.best_round  # the latter in older runs
    if best is None:
        raise UserError(
            f"{folder.summary} says of no round that its model is released; is it whole?"
        )
    own, number = _read_own(Store(whose.folder, str(summary.run), whose.client), best)
    if not (is_personal or objective.has_layers(makeup, own)):
        raise UserError(
            f"{whose.folder} holds not all that {whose.client}'s own model is made of; was the "
            "file written by another run?"
        )
    weights = own if is_personal else objective.localised(model.weights, own)
    what = (
        "This is {}'s own model" if is_personal else "These are {}'s own layers in the common model"
    )
    later = "" if number == best else f", the run's model being that of round {best}"
    return Answering(
        replace(model, weights=_take_names_of(model.weights, weights, whose)),
        f"{what.format(whose.client)}, of round {number}{later}; the summary's "
        f"{'personal_*' if is_personal else 'test_*'} figures are of these.",
    )


def _read_own(store: Store, best: int) -> tuple[Weights, int]:
    """What the client kept that belongs to the best round, and the round it is of."""
    number = store.round_of(best)
    if number is None and not store.folder.is_dir():
        raise UserError(
            f"{store.folder} is gone, where the run kept the clients' own models; restore it, or run "
            "again."
        )
    if number is None:
        raise UserError(
            f"{store.client} has no model of its own: it took part in no round of this run; name a "
            "client that did."
        )
    try:
        return store.until(best), number
    except Exception as error:  # noqa: BLE001 - safetensors has a class of its own
        raise UserError(
            f"{store.client}'s own model of round {number} in {store.folder} is damaged ({error}); "
            "restore the file, or run again."
        ) from None


def _take_names_of(common: Weights, own: Weights, whose: Whose) -> Weights:
    """`own` by the common model's names, whose shapes it must have. Raises UserError."""
    wrong = [k for k, v in common.items() if k not in own or own[k].shape != v.shape]
    if wrong:
        raise UserError(
            f"{whose.client}'s own model in {whose.folder} does not fit the run's model: "
            f"{wrong[0]} is missing or of another shape. Restore the files, or run again."
        )
    return {k: own[k] for k in common}
