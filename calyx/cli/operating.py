"""What the operator's commands share: where the server's control interface is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
