"""`calyx client`: a site's one command. It connects out, and nothing listens."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from calyx.cli.arguments import Parser
from calyx.cli.isolated import say_left_aside


def main(arguments: Sequence[str]) -> int:
    """Answer a server's orders until Ctrl-C. Raises CalyxError."""
    parser = Parser(prog="calyx client", description=__doc__)
    parser.add_argument("config", type=Path, help="this site's YAML file")
    options = parser.parse_args(arguments)
    from client.code import check_first, describe_unmeasured

    check_first(options.config)
    # PyTorch is imported by the app; once, and after arguments and code are known to be sound.
    from calyx.files.outputs import show_path
    from calyx.fleet.site import check_site, read_site_config, run_site
    from calyx.flower.messages import quiet_flower
    from calyx.machine.proxies import proxy_for

    quiet_flower()
    cfg = read_site_config(options.config)
    site = check_site(cfg)
    console = Console(highlight=False, markup=False, emoji=False)
    if aside := say_left_aside():
        console.print(aside)
    if cfg.manifest is not None:
        console.print(
            f"Calyx's files are what {show_path(Path(cfg.manifest))} allows; {describe_unmeasured()}."
        )
    through = f" through {proxy}" if (proxy := proxy_for(cfg.server)) else ""
    console.print(f"{site.name}: connecting to {cfg.server}{through}")

    def tell(line: str) -> None:
        now = datetime.fromtimestamp(time.time()).astimezone().strftime("%H:%M:%S")
        console.print(f"{now}  {line}")

    run_site(cfg, site, tell)
    return 0
