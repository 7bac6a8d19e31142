"""An argument parser that says a mistake in one sentence, as everything else of Calyx does."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from calyx.errors import UserError
from calyx.files.plain import at_home


class Parser(argparse.ArgumentParser):
    """Raises UserError in place of exiting; in a path `~` is the home folder, quoted or not."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(*arguments, **named)
        self.register("type", Path, path_of)

    @override
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see `{self.prog} --help`.")


def path_of(text: str) -> Path:
    """A path as it was typed: no shell looks for `~` behind the `=` of an option. Raises UserError."""
    return Path(at_home(text))
