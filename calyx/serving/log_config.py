"""The section `serve.log`: where decisions are written, who signs them, and whether rows are kept."""

from typing import Annotated

from pydantic import Field

from calyx.config.section import config


@config
class LogConfig:
    """The log of decisions of a gateway."""

    folder: str | None = None  # of its files; None: `log` in serve.state_dir
    key: str | None = None  # file of `calyx keys log NAME`; None: one is made in serve.state_dir
    sign_every_s: Annotated[float, Field(ge=1, le=86_400)] = 3600.0  # between two signatures
    # Bytes after which another file begins, as it does with every day of UTC.
    file_bytes: Annotated[int, Field(ge=2**17, le=2**32)] = 2**26
    keep_rows: bool = False  # whether the rows of requests are kept, encrypted for `rows_key`
    rows_key: str | None = None  # public file of who may read them: `calyx keys recipient NAME`
    rows_days: Annotated[int, Field(ge=1, le=3650)] = 30  # for which kept rows stay
    rows_bytes: Annotated[int, Field(ge=2**20, le=2**50)] = 2**30  # of all; the oldest go first

    def __post_init__(self) -> None:
        """Raise ValueError where rows were to be kept for nobody."""
        if self.keep_rows and self.rows_key is None:
            raise ValueError(
                "keep_rows=true needs rows_key=FILE.pub, for whom rows are encrypted; make one with `calyx "
                "keys recipient NAME` where they may be read, which is not on the gateway's machine"
            )
