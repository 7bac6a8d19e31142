"""`calyx audit`: what is wrong with the clients' data, or a first schema of a CSV file."""

from collections.abc import Sequence
from pathlib import Path

from calyx.errors import UserError
from calyx.files import check_place, write_atomically
from calyx.tasks.drafting import draft
from cli.arguments import Parser


def main(arguments: Sequence[str]) -> int:
    """Audit by the config's overrides, or with --draft-schema look at one file. Raises UserError."""
    if any(word.startswith("--") for word in arguments) or "-h" in arguments or not arguments:
        return _drafted(arguments)
    from cli.auditing import run_audit

    return run_audit(arguments)


def _drafted(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="calyx audit",
        description=f"{__doc__} An audit takes the overrides of `calyx simulate`: task=NAME, "
        "audit.baseline=RUN, …",
    )
    parser.add_argument("--draft-schema", type=Path, metavar="FILE.csv", required=True)
    parser.add_argument("--out", type=Path, help="a YAML file to write; the terminal without it")
    options = parser.parse_args(arguments)
    if options.out is not None:
        check_place(options.out)
    text = draft(options.draft_schema)
    if options.out is None:
        print(text, end="")
        return 0
    if options.out.exists():
        raise UserError(f"{options.out} is there already; name another file, or remove it.")
    write_atomically(options.out, text.encode())
    print(f"schema  {options.out}; check every line of it")
    return 0
