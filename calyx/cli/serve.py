"""`calyx serve`: a gateway that answers rows by a release, for whom its operator lets in.

It needs neither Flower nor Hydra, and starts by no release that does not verify.
"""

import logging
import os
import socket
import time
from argparse import Action, ArgumentParser
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from calyx.cli.arguments import Parser
from calyx.cli.isolated import say_left_aside
from calyx.cli.release.opening import add_opener, opener_of
from calyx.errors import UserError, for_terminal
from calyx.files.outputs import show_path
from calyx.files.plain import lock_file
from calyx.releases.signers import read_signers
from calyx.serving.authorization import Doors, open_doors
from calyx.serving.config import ServeConfig
from calyx.serving.replicas import Replicas, listen, prepare_metrics
from calyx.serving.settings import read_settings
from calyx.serving.swap import Releases, read_floor
from calyx.serving.tls import Certificates, check_exposure

_METRICS = "metrics"  # folder in serve.state_dir: counts of this start's replicas


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal comes. Raises CalyxError."""
    parser = Parser(prog="calyx serve", description=__doc__)
    parser.add_argument("folder", type=Path, help="a release, or a folder of releases to watch")
    parser.add_argument(
        "--signers", type=Path, required=True, help="who must have signed: calyx keys signers"
    )
    add_opener(parser)
    parser.add_argument("--config", type=Path, help="a YAML file with the section serve")
    parser.add_argument(
        "--packages",
        action=ListPackages,
        nargs=0,
        help="what a serving environment needs, as `pip install -r` reads it, and nothing else",
    )
    parser.add_argument("words", nargs="*", metavar="serve.KEY=VALUE", help="docs/serve.md")
    options = parser.parse_intermixed_args(arguments)
    cfg = read_settings(options.config, options.words)
    check_exposure(cfg.host, cfg.tls)
    releases = Releases(options.folder, read_signers(options.signers), opener_of(options))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    # The head of the log with each signature: who keeps this output sees later whether the log was cut.
    logging.getLogger("calyx.serving.decisions").setLevel(logging.INFO)
    state_dir = Path(cfg.state_dir)
    with ExitStack() as stack:
        _take_state(state_dir, stack)
        access = Access(open_doors(cfg), None if cfg.tls is None else Certificates(cfg.tls))
        release = releases.choose(read_floor(state_dir))
        sockets = listen(cfg.host, cfg.port)
        if aside := say_left_aside():
            say(aside)
        signed = ", ".join(release.signed_by)
        host, port = cfg.host, sockets[0].getsockname()[1]
        say(f"{release.manifest.title}, signed by {signed}, at {host}:{port}")
        if cfg.keys is None and cfg.jwt is None:
            say(
                "Nobody is let in: set serve.keys to a file that `calyx keys gateway add` has made."
            )
        if cfg.replicas == 1:
            return _serve(cfg, releases, access, sockets, 1)
        prepare_metrics(state_dir / _METRICS)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str((state_dir / _METRICS).absolute())
        return Replicas(
            cfg.replicas,
            lambda replica: _serve(cfg, releases, access, sockets, replica),
            say,
            state_dir / _METRICS,
        ).keep()


class ListPackages(Action):
    """Prints the packages of an environment that serves, at the versions that are installed here."""

    @override
    def __call__(self, parser: ArgumentParser, *arguments: Any) -> NoReturn:
        from calyx.releases.packages import list_needed  # late: it is needed for no request

        for package in list_needed():
            if package.version is not None:
                print(f"{package.name}=={package.version}")
        parser.exit()


def _take_state(state_dir: Path, stack: ExitStack) -> None:
    """Make serve.state_dir and keep it for this gateway alone. Raises UserError."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = lock_file(state_dir / "gateway.lock", is_inherited=True)
        is_free = stack.enter_context(lock)
    except OSError as error:
        raise UserError(
            f"{show_path(state_dir)} cannot be used: {error.strerror}; set serve.state_dir."
        ) from None
    if not is_free:
        raise UserError(
            f"Another gateway uses {show_path(state_dir)}; stop it, or set serve.state_dir for this one."
        )


@dataclass(frozen=True)
class Access:
    """Who is let in, and over what."""

    doors: Doors
    certificates: Certificates | None


def _serve(
    cfg: ServeConfig,
    releases: Releases,
    access: Access,
    sockets: Sequence[socket.socket],
    replica: int,
) -> int:
    # Late: a parent of replicas loads neither PyTorch nor threads, and sets where they count first.
    from calyx.serving.running import Running, serve

    serve(Running(cfg, releases, access.doors, access.certificates, replica, say), sockets)
    return 0


def say(line: str) -> None:
    """One line to the operator, with the time; names in it may be a stranger's."""
    now = datetime.fromtimestamp(time.time()).astimezone().strftime("%H:%M:%S")
    print(f"{now}  {for_terminal(line)}", flush=True)
