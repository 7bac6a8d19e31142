"""The section `preprocessing`: what is done to a client's rows before a model sees them."""

from typing import Annotated, Literal

from pydantic import Field

from calyx.config.section import config

Constants = tuple[float | None, float | None, float | None, float | None, float | None]


@config
class WrittenPreprocessing:
    """The section as a person writes it: `auto` leaves to Calyx whose rows constants are fitted on."""

    name: Literal["auto", "local", "federated", "none"]
    numeric_imputation: Literal["median", "mode", "constant", "none"]
    categorical_imputation: Literal["mode", "constant", "none"]
    fill_value: Annotated[
        float, Field(ge=-1e30, le=1e30)
    ]  # of numeric_imputation=constant, in the column's own unit; of no category
    scaling: Literal["standard", "none"]  # standard: mean 0, variance 1 of the training part
    outliers: Literal["clip", "flag", "keep"]  # clip to the bounds, mark in a column of its own
    iqr_factor: Annotated[
        float, Field(gt=0, le=1e6)
    ]  # bounds: quartiles ± this many interquartile ranges
    # What the server made of the clients' sums, for a whole run or for each fold: of each column
    # fill, low, high, mean and scale, null where there is none. Null: every client fits its own.
    fitted: tuple[tuple[Constants, ...], ...] | None = None

    def __post_init__(self) -> None:
        """Refuse constants that are not one set for all clients. Raises ValueError."""
        if self.fitted is not None and self.name != "federated":
            raise ValueError(
                "preprocessing.fitted is what a run fits itself, and of preprocessing=federated only; "
                "leave it out"
            )


@config
class PreprocessingConfig(WrittenPreprocessing):
    """The section as a run carries it out; with the schema it says how wide a model's input is."""

    name: Literal["local", "federated", "none"]

    @property
    def is_federated(self) -> bool:
        """Whether one set of constants serves all clients."""
        return self.name == "federated"
