"""`calyx doctor privacy`: which cohort and groups hold for a roster, dropouts and attackers."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from calyx.cli.hydra_program import compose_config
from calyx.composing.compose import resolve
from calyx.config.section import parse
from calyx.errors import UserError
from calyx.privacy.planning import Choice, Federation, choices
from calyx.privacy.section import PrivacyConfig
from calyx.secagg.rules import MAX_GROUP

KEYS = ("clients", "cohort", "dropouts", "attackers")
USAGE = "calyx doctor privacy clients=100 [cohort=50] [dropouts=2] [attackers=3] [privacy.KEY=…]"


def main(arguments: Sequence[str]) -> int:
    """Print a table; 0 if some number of groups holds, 1 if none does. Raises UserError."""
    numbers, overrides = _split(arguments)
    privacy = parse(PrivacyConfig, resolve(compose_config(overrides))["privacy"], "privacy")
    if not any(override.startswith("privacy.n_max=") for override in overrides):
        privacy = replace(privacy, n_max=MAX_GROUP)  # it follows the clients
    if "clients" not in numbers:
        raise UserError(f"Say how many clients the roster has: {USAGE}")
    roster = numbers["clients"]
    federation = Federation(
        roster=roster,
        cohort=numbers.get("cohort", roster),
        dropouts=numbers.get("dropouts", 0),
        attackers=numbers.get("attackers", 0),
    )
    if not 0 < federation.cohort <= roster:
        raise UserError(f"cohort={federation.cohort} is not within the roster's 1 to {roster}.")
    plans = choices(privacy, federation)
    console = Console()
    console.print(_table(plans))
    console.print()
    sound = [choice for choice in plans if not choice.problems]
    console.print(_advice(sound, federation, privacy))
    return 0 if sound else 1


def _split(arguments: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    numbers, overrides = {}, []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key.startswith("privacy."):
            overrides.append(argument)
        elif key in KEYS and value.isdecimal() and len(value) < 7:
            numbers[key] = int(value)
        else:
            raise UserError(f"{argument!r} is none of the planner's arguments: {USAGE}")
    return numbers, overrides


def _table(plans: Sequence[Choice]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    heads = ("groups", "size", "collude", "sum ≥", "honest ≥", "may drop", "outvoted")
    for head in ("", *heads):
        table.add_column(head, justify="right")
    table.add_column("")
    for choice in plans:
        row = (
            choice.groups,
            choice.size,
            choice.colluders,
            choice.smallest_sum,
            choice.honest,
            choice.survives,
            choice.withstands,
        )
        sign = "[red]✗[/]" if choice.problems else "[green]✓[/]"
        style = "dim" if choice.problems else ""
        table.add_row(sign, *map(str, row), "; ".join(choice.problems), style=style)
    return table


def _advice(sound: Sequence[Choice], federation: Federation, privacy: PrivacyConfig) -> str:
    if not sound:
        return (
            "No number of groups holds. Take more clients into a round, or expect fewer dropouts or "
            "attackers; privacy.n_min, privacy.max_colluders and privacy.sampling=trusted give room "
            "at the price of what a sum guarantees."
        )
    best = sound[-1] if federation.attackers else sound[0]
    size = "" if federation.cohort == federation.roster else f" cohort_size={federation.cohort}"
    lines = [
        f"privacy.groups={best.groups}{size} holds: every sum covers at least {best.smallest_sum} "
        f"clients, of which {best.honest} are honest even if {best.colluders} collude with the "
        f"server; each group may lose {best.survives} clients a round."
    ]
    if best.withstands:
        lines.append(
            f"With strategy=median, {best.withstands} attackers are outvoted wherever they sit; one "
            "of them spoils a whole group."
        )
    elif federation.attackers == 0:
        lines.append(
            "One group cannot be defended by a robust strategy; attackers=1 shows what could."
        )
    if privacy.sampling == "trusted":
        lines.append("This believes the server to draw cohorts and groups at random.")
    if privacy.is_encrypted:
        lines.append(
            "With these bounds a server that chooses weights reads about ten rows a sum: those that "
            "`calyx keys site NAME --task TASK` writes into a site's policy. Without any, about 200."
        )
    return "\n".join(lines)
