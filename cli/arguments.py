"""An argument parser that says a mistake in one sentence, as everything else of Calyx does."""

import argparse
from typing import NoReturn

from calyx.errors import UserError


class Parser(argparse.ArgumentParser):
    """Raises UserError in place of exiting."""

    def error(self, message: str) -> NoReturn:
        """A user's mistake."""
        raise UserError(f"{self.prog}: {message}; see `{self.prog} --help`.")
