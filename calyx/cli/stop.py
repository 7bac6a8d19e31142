"""`calyx stop`: end a run on the server on this machine. What it has saved stays."""

from collections.abc import Sequence

from rich.console import Console

from calyx.cli.operating import connect, operator_parser
from calyx.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Stop one run. Raises CalyxError."""
    parser = operator_parser("calyx stop", __doc__)
    parser.add_argument("run", type=int, help="as `calyx runs` shows it")
    options = parser.parse_args(arguments)
    with connect(options.control_port, options.authority) as operator:
        if options.run not in operator.runs():
            raise UserError(f"There is no run {options.run}; `calyx runs` lists them.")
        if operator.status(options.run)[0] == "finished":
            raise UserError(f"The run {options.run} has ended already.")
        operator.stop(options.run)
    Console(highlight=False).print(f"stopped {options.run}")
    return 0
