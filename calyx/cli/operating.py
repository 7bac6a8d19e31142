"""`calyx runs` and `calyx stop`: what the server on this machine runs; and how its operator reaches it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from calyx.cli.arguments import Parser
from calyx.errors import CalyxError, UserError
from calyx.flower.messages import Operator
from calyx.trust.certificates import describe

CONTROL_PORT = 9310
AUTHORITY = "keys/ca.crt"


def operator_parser(prog: str, description: str | None) -> Parser:
    """A parser with the two options that say where the server is."""
    parser = Parser(prog=prog, description=description)
    parser.add_argument("--control-port", type=int, default=CONTROL_PORT, help="on loopback")
    parser.add_argument(
        "--authority", type=Path, default=Path(AUTHORITY), help="the server's ca.crt"
    )
    return parser


@contextmanager
def connect(control_port: int, authority: Path) -> Iterator[Operator]:
    """The server's control interface. Raises CalyxError where it does not answer."""
    import httpx

    if not authority.is_file():
        raise UserError(f"There is no {authority}; see --authority.")
    describe(authority)
    try:
        yield Operator(f"127.0.0.1:{control_port}", authority)
    except httpx.HTTPError as error:
        raise CalyxError(
            f"The server does not answer on port {control_port} of this machine "
            f"({type(error).__name__}); start it with `calyx server`, or see --control-port."
        ) from None


def list_runs(arguments: Sequence[str]) -> int:
    """`calyx runs`: print a table of runs, and the sites. Raises CalyxError."""
    description = "`calyx runs`: what the server on this machine runs or has run."
    options = operator_parser("calyx runs", description).parse_args(arguments)
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


def stop_run(arguments: Sequence[str]) -> int:
    """`calyx stop`: stop one run; what it has saved stays. Raises CalyxError."""
    description = "`calyx stop`: end a run on the server on this machine. What it has saved stays."
    parser = operator_parser("calyx stop", description)
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
