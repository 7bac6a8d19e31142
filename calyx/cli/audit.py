"""`calyx audit`: what is wrong with the clients' data, or a first schema of a folder of CSV files."""

from collections.abc import Sequence
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.outputs import add_output, claim
from calyx.data.drafting.sources import files_of
from calyx.data.drafting.writing import Draft, draft
from calyx.errors import printable, quote_command
from calyx.words.sentences import join_names, say_count

FEWEST_SITES = 4  # of which encrypted sums are possible at all, with privacy.n_min at their number
USUAL_SITES = 5  # of which they are possible without a key


def main(arguments: Sequence[str]) -> int:
    """Audit by the config's overrides, or with --draft-schema look at files. Raises UserError."""
    if any(word.startswith("--") for word in arguments) or "-h" in arguments or not arguments:
        return _draft_schema(arguments)
    from calyx.cli.auditing import run_audit

    return run_audit(arguments)


def _draft_schema(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="calyx audit",
        description=f"{__doc__} An audit takes the overrides of `calyx simulate`: task=NAME, "
        "audit.baseline=RUN, …",
    )
    parser.add_argument(
        "--draft-schema",
        type=Path,
        metavar="PATH",
        required=True,
        help="a folder with one CSV file a site, or one file",
    )
    parser.add_argument(
        "--target", metavar="NAME", help="the column to predict; a guess without it"
    )
    parser.add_argument(
        "--client", metavar="NAME", help="the column that says whose a row is, in one file of all"
    )
    add_output(parser, "a YAML file to write, such as schema.yaml in the folder; else the terminal")
    options = parser.parse_args(arguments)
    path: Path = options.draft_schema
    out = claim(options, files_of(path))
    drafted = draft(path, options.target, options.client)
    if out is None:
        print(drafted.text, end="")
        return 0
    out.write(drafted.text.encode())
    if not out.is_stream:
        print("\n".join(_describe(drafted, out.path)))
    return 0


def _describe(drafted: Draft, out: Path) -> list[str]:
    """What a person should look at, and what comes next."""
    answer, client = drafted.answer, drafted.client
    left = [one.name for one in drafted.inputs if one.left_out] + list(drafted.survey.left_out)
    classes = "a number" if answer.is_number else say_count(len(answer.categories.words), "class")
    kind = classes.replace("classs", "classes")
    guess = f"; a guess {answer.reason}" if answer.reason else ""
    lines = [
        f"schema  {out}; check every line of it",
        f"target  {printable(answer.name, 60)}, {kind}{guess}",
        f"inputs  {len(drafted.inputs) + len(drafted.survey.left_out) - len(left)}; {len(left)} left out",
    ]
    if client is not None:
        lines.append(f"sites   by {printable(client.name, 60)}{'; a guess' * client.is_guess}")
    if answer.holes:
        lines.append(f"labels  {answer.holes:,} rows have none, and are dropped")
    telling = [one.name for one in drafted.inputs if one.tells]
    if telling:
        kept = any(one.tells and not one.left_out for one in drafted.inputs)
        fate = "kept, for want of others" if kept else "left out"
        lines.append(f"answers {printable(join_names(telling), 200)} give the answer away; {fate}")
    spelt = [one.name for one in drafted.inputs if one.categories.same]
    for name in [answer.name] * bool(answer.categories.same) + spelt:
        lines.append(f"same?   {printable(name, 60)} has words that differ in case or blanks only")
    return [*lines, *_next(drafted, out)]


def _next(drafted: Draft, out: Path) -> list[str]:
    """The command that comes next, or what is missing for it."""
    path, sites = drafted.survey.path, drafted.sites
    folder = path if drafted.survey.is_folder else path.parent
    if sites < 2 or (not drafted.survey.is_folder and len(files_of(folder)) > 1):
        return ["next    put it as schema.yaml beside each site's rows, all of the same columns"]
    words = ["calyx", "simulate", "task=csv", f"task.data_dir={folder}"]
    if out.absolute() != (folder / "schema.yaml").absolute():
        words.append(f"task.schema={out}")
    if sites < USUAL_SITES:
        words.append(f"privacy.n_min={sites}" if sites >= FEWEST_SITES else "privacy=none")
    few = f" ({sites} sites: encrypted sums need five)" if sites < USUAL_SITES else ""
    return [f"next    {quote_command(*words)}{few}"]
