"""Before a run goes on: whose rows are no longer those that it began with, and what becomes of them."""

import sys
from collections.abc import Mapping, Sequence

from calyx.errors import ConfigError, UserError, printable, quote_command
from calyx.run.folder import RunFolder
from calyx.run.order import Terms
from calyx.simulation.engine import read_engine
from calyx.tasks.registry import load_task
from calyx.wire.messages import FailureCode
from calyx.words.sentences import join_names
from client.config import node_config, read_site
from client.failures import ClientFailure
from client.rows.begun import Beginning
from client.rows.data import read_rows
from server.config import RunConfig
from server.left_out import read_left_out
from server.sampling import check_replies, check_sizes

WITHOUT_CHANGED = "--without-changed"


def find_changed(folder: RunFolder, run: RunConfig, terms: Terms, run_id: str) -> dict[str, str]:
    """What is different about the rows of each client whose rows have changed, by its name.

    In a deployment sites say so themselves, when they are asked. Who is left out already is not named
    again. Raises UserError where it cannot be read who that is.
    """
    known = {one.client for one in read_left_out(folder)}
    if read_engine(run.engine).clients_remember:
        return dict.fromkeys(sorted(_find_reported(folder) - known), "as its site says")
    changed, unknown = dict[str, str](), list[str]()
    for name in (name for name in load_task(run.task).clients if name not in known):
        try:
            begun = Beginning(folder.path / "clients", run_id, name, is_synced=False).read()
        except UserError as error:
            changed[name] = f"they cannot be compared: {str(error).rstrip('.')}"
            continue
        if begun is None:
            unknown.append(name)
            continue
        site = read_site(node_config(name, run.client))
        try:
            what = begun.difference(read_rows(terms, name, site.data_dir))
        except ClientFailure as error:
            what = f"they cannot be used: {printable(str(error)).rstrip('.')}"
        if what is not None:
            changed[name] = what
    if lost := sorted(set(unknown) & _find_last_rounds(folder).keys()):
        _say_unknown(folder, lost)
    return changed


def _find_reported(folder: RunFolder) -> set[str]:
    """The clients whose sites said that their rows have changed, and that were in no sum since."""
    said = {
        str(event.client): event.round or 0
        for event in folder.read_events()
        if event.details.get("reason") == FailureCode.ROWS_CHANGED
    }
    since = _find_last_rounds(folder)
    return {name for name, number in said.items() if since.get(name, 0) <= number}


def _find_last_rounds(folder: RunFolder) -> dict[str, int]:
    """The last round in whose sums each client is, by name."""
    return {
        name: row.round
        for row in folder.read_rounds()
        for name in row.cohort
        if name not in row.dropped
    }


def _say_unknown(folder: RunFolder, names: list[str]) -> None:
    folder.event_once(
        "rows-not-compared",
        "warning",
        f"Whether the rows of {join_names(names)} are those that the run began with cannot be known: "
        f"{folder.path / 'clients'} holds nothing of them: an older version of Calyx kept "
        "none, and a loss of power takes what was just written.",
    )


def check_changed(
    folder: RunFolder,
    run: RunConfig,
    changed: Mapping[str, str],
    overrides: Sequence[str],
    *,
    is_without: bool,
) -> None:
    """Raise UserError unless a run whose rows have `changed` can go on, without those if told so.

    `overrides` are those of the command, which the advice repeats.
    """
    is_there = not read_engine(run.engine).clients_remember
    if not changed:
        if is_without:
            print("No client's rows have changed; nobody is left out.", file=sys.stderr)
        return
    if not is_without:
        if is_there:  # a site says by itself whether it has the same rows again
            again = quote_command("calyx", "resume", folder.path, *overrides, WITHOUT_CHANGED)
            raise UserError(
                f"{describe_changed(changed)}. Put them back, name the folder where they are "
                f"(task.data_dir=FOLDER), or go on without these clients: `{again}`."
            )
        return
    if run.cv.k == "clients":
        raise UserError(
            f"{describe_changed(changed)}. With cv.k=clients their rows have trained the models of all other "
            "folds: put them back, or start a new run."
        )
    if is_there:
        clients = len(load_task(run.task).clients)
        left = clients - len(changed) - len(read_left_out(folder))
        if left < 1:
            raise UserError(
                f"{describe_changed(changed)}. Nobody would be left: put them back, name the folder where "
                "they are (task.data_dir=FOLDER), or start a new run."
            )
        try:
            check_sizes(run.privacy, left, run.cohort_size, clients)
            check_replies(run, left)
        except ConfigError as error:
            raise UserError(f"{describe_changed(changed)}. Without them: {error}") from None


def describe_changed(changed: Mapping[str, str], began: str = "the run") -> str:
    """Everybody is named, and those of whom the same can be said together; no full stop."""
    whose: dict[str, list[str]] = {}
    for name, what in changed.items():
        whose.setdefault(what, []).append(printable(name, 200))
    said = "; ".join(f"{', '.join(names)} ({what})" for what, names in whose.items())
    return f"The rows of these clients are not those that {began} began with: {said}"
