"""The section `serve.log`: where decisions are written, who signs them, and whether rows are kept."""

from dataclasses import dataclass

from calyx.errors import ConfigError
from calyx.serving.log_lines import MOST_LINE_BYTES


@dataclass(frozen=True)
class LogConfig:
    """The log of decisions of a gateway. Raises ConfigError for what is out of range."""

    folder: str | None = None  # of its files; None: `log` in serve.state_dir
    key: str | None = None  # file of `calyx keys log NAME`; None: one is made in serve.state_dir
    sign_every_s: float = 3600.0  # between two signatures, 1 to 86,400
    file_bytes: int = 2**26  # after which another file begins, 2^17 to 2^32; and with every day
    keep_rows: bool = False  # whether the rows of requests are kept, encrypted
    rows_key: str | None = None  # public file of who may read them: `calyx keys rows NAME`
    rows_days: int = 30  # for which kept rows stay, 1 to 3,650
    rows_bytes: int = 2**30  # of all kept rows; the oldest files go first, at least 2^20

    def __post_init__(self) -> None:
        """Raise ConfigError for a value out of range."""
        _check("sign_every_s", self.sign_every_s, 1, 86_400)
        _check("file_bytes", self.file_bytes, 2 * MOST_LINE_BYTES, 2**32)
        _check("rows_days", self.rows_days, 1, 3650)
        _check("rows_bytes", self.rows_bytes, 2**20, 2**50)
        if self.keep_rows and self.rows_key is None:
            raise ConfigError(
                "serve.log.keep_rows=true needs serve.log.rows_key=FILE.pub, for whom rows are encrypted; "
                "make one with `calyx keys rows NAME` where they may be read, which is not on this machine."
            )


def _check(name: str, value: float, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"serve.log.{name}={value} is out of range: {low:,} to {high:,}.")
