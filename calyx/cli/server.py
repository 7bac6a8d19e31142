"""`calyx server`: the operator's one command. A gateway with TLS; everything else on loopback."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from calyx.cli.arguments import Parser
from calyx.cli.isolated import say_left_aside
from calyx.cli.operating import CONTROL_PORT
from calyx.fleet.superlink import (
    Processes,
    Serving,
    check_files,
    check_ports,
    serve_gateway,
    settle_sites,
)


def main(arguments: Sequence[str]) -> int:
    """Serve until Ctrl-C. Raises CalyxError."""
    options = make_parser("calyx server", __doc__).parse_args(arguments)
    serving = Serving(
        host=options.host,
        port=options.port,
        control_port=options.control_port,
        keys=options.keys,
        nodes=options.nodes,
        state=options.state,
    )
    check_files(serving)
    check_ports(serving)
    console = Console(highlight=False, markup=False, emoji=False)
    if aside := say_left_aside():
        console.print(aside)
    with ExitStack() as stack:
        with console.status("starting the SuperLink on loopback"):
            processes = stack.enter_context(Processes(serving))
        for change in settle_sites(serving):
            console.print(change)
        console.print(
            f"Sites reach {serving.host}:{serving.port}; `calyx submit` works on this machine "
            f"(control port {serving.control_port}). Ctrl-C stops everything.",
        )
        serve_gateway(serving, processes, lambda line: console.print(line))
    return 0


def make_parser(prog: str, description: str | None) -> Parser:
    """Where a server's keys and state lie, and where it listens."""
    parser = Parser(prog=prog, description=description)
    parser.add_argument(
        "--keys", type=Path, default=Path("keys"), help="folder of ca.crt, server.crt, server.key"
    )
    parser.add_argument(
        "--nodes", type=Path, default=Path("nodes"), help="folder of the sites' .node.pub files"
    )
    parser.add_argument(
        "--state", type=Path, default=Path("server-state"), help="folder of database and logs"
    )
    parser.add_argument("--host", default="0.0.0.0", help="address of the gateway")  # noqa: S104
    parser.add_argument("--port", type=int, default=9443, help="of the gateway")
    parser.add_argument("--control-port", type=int, default=CONTROL_PORT, help="on loopback")
    return parser
