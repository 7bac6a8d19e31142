"""How an extra of this project that is missing gets into the environment that runs."""

import sys
from pathlib import Path

from calyx.errors import quote_command

ROOT = Path(__file__).resolve().parents[2]


def advise_extra(extra: str) -> str:
    """The command that adds an extra here: of a checkout its own script, which keeps to its pins."""
    own = ROOT / ".venv"
    if not (own / ".stamp").is_file() or own.resolve() != Path(sys.prefix).resolve():
        return f"pip install 'calyx[{extra}]'"
    script = ROOT / "scripts" / "environment"
    return quote_command(script.relative_to(ROOT) if Path.cwd() == ROOT else script, extra)
