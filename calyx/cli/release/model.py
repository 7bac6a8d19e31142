"""Which model of a run is released: the one of all clients, or that of one client which is named.

See docs/decisions/0085.
"""

from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

from calyx.cli.trained import Trained, client_model
from calyx.errors import UserError
from calyx.model.released import ReleasedModel, describe, load_bytes, to_file

_FILE = Path("model.safetensors")


@dataclass(frozen=True)
class Chosen:
    """The model that is released, and the bytes of its file, from which it was read again."""

    data: bytes
    model: ReleasedModel
    client: str | None = None  # whose it is; None: of all clients
    has_own_weights: bool = False  # and not only its client's preprocessing


def choose(trained: Trained, options: Namespace) -> Chosen:
    """The model that the words client=NAME and --common ask for.

    Raises UserError where a run has a model of each client and none is named, and the other way round;
    and where the file would not hold all of the model.
    """
    is_common = options.common and options.client is None
    wanted = Namespace(**vars(options) | {"common": options.common and not is_common})
    try:
        answering, whose = client_model(trained, wanted)
    except UserError as error:
        if options.client is not None:
            raise
        key = "preprocessing=federated" if trained.model.fitted is None else "strategy=fedavg"
        raise UserError(f"{error} For a model of all clients, train with {key}.") from None
    model, strategy = answering.model, trained.run.strategy.name
    has_own = model.weights is not trained.model.weights
    if whose is None and answering.note and not is_common:
        raise UserError(
            f"strategy={strategy} trained a model of each client: give client=NAME to release the model of "
            "one, or --common to release the model that all share."
        )
    if whose is not None and not has_own and model.fitted is trained.model.fitted:
        raise UserError(
            "This run has one model for all its clients, and one preprocessing: leave "
            f"client={whose.client} out."
        )
    if whose is None:
        return Chosen(trained.data, load_bytes(trained.data, trained.folder.model))
    cfg = replace(model.preprocessing, fitted=None)
    data = to_file(model, describe(trained.task, trained.run.task, cfg))
    return Chosen(data, load_bytes(data, _FILE), whose.client, has_own)
