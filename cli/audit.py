"""`calyx audit`: what is wrong with the clients' data, or a first schema of a CSV file."""

from collections.abc import Sequence
from pathlib import Path

from calyx.tasks.drafting import draft
from cli.arguments import Parser
from cli.outputs import add_output, claimed


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
    add_output(parser, "a YAML file to write; the terminal without it")
    options = parser.parse_args(arguments)
    out = claimed(options, [options.draft_schema])
    text = draft(options.draft_schema)
    if out is None:
        print(text, end="")
        return 0
    out.write(text.encode())
    if not out.is_stream:
        print(f"schema  {out.path}; check every line of it")
    return 0
