"""`calyx runs`: what the server on this machine runs or has run."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from calyx.cli.operating import connect, operator_parser


def main(arguments: Sequence[str]) -> int:
    """Print a table of runs. Raises CalyxError."""
    options = operator_parser("calyx runs", __doc__).parse_args(arguments)
    with connect(options.control_port, options.authority) as operator:
        runs, nodes = operator.runs(), operator.nodes()
    console = Console(highlight=False, markup=False, emoji=False)
    table = Table("run", "status", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for run_id, status in sorted(runs.items()):
        table.add_row(str(run_id), status.replace("_", " "))
    console.print(table if runs else "There were no runs yet.")
    sites = ", ".join(sorted(f"{node.name} {node.status}" for node in nodes))
    console.print(f"sites: {sites or 'none'}")
    return 0
