"""`calyx doctor site SITE.yaml`: everything that could keep a site from taking part, and its cure."""

import os
import stat
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from calyx.cli.arguments import Parser
from calyx.cli.checks import Check, attempt, private_folder, show
from calyx.cli.doctor import packages
from calyx.cli.doctor_policy import policy_checks
from calyx.cli.doctor_reach import reach
from calyx.data.csv.folder import SCHEMAS, schema_in, tables_in
from calyx.data.csv.split import part_folders
from calyx.errors import CalyxError, ConfigError, UserError, printable, quote_command
from calyx.files.plain import plain
from calyx.fleet.site import SiteConfig, check_keys, check_manifest, read_site_config
from calyx.secagg.refusals import Refusal
from calyx.secagg.roster import Roster
from calyx.trust.certificates import read_private
from calyx.trust.key_files import PRIVATE_MODE
from calyx.words.sentences import say_count
from client.code import describe_unmeasured
from client.config import Site, node_config, read_site
from client.failures import ClientFailure
from client.gate.ledger import read_ledger
from client.gate.limits import clock_sentence

MIN_DISK_BYTES = 200 * 2**20
MAX_FILES = 10_000  # of the data that are looked at
PAGE = "docs/deploy.md shows a whole file"


def main(arguments: Sequence[str]) -> int:
    """Print a table; 0 if the site can take part. Raises UserError where there is no such file."""
    parser = Parser(prog="calyx doctor site", description=__doc__)
    parser.add_argument("config", type=Path, help="this site's YAML file")
    path = parser.parse_args(arguments).config
    try:
        checks = _checks(read_site_config(path))
    except ConfigError as error:
        checks = iter((packages(), Check("file", "problem", str(error), PAGE)))
    return show(checks, "This site can take part.")


def _checks(cfg: SiteConfig) -> Iterator[Check]:
    yield packages()
    values = cfg.client | {"identity": None, "roster": None}  # these have a look of their own
    try:
        site = read_site(node_config(str(cfg.client.get("name")), values))
    except ConfigError as error:
        yield Check("file", "problem", str(error), PAGE)
    else:
        roster = _roster(cfg)
        keys = attempt("identity, roster", lambda: _keys(cfg))
        yield keys
        yield attempt("manifest", lambda: manifest_row(cfg, keys))
        yield attempt("state", lambda: _state(site))
        yield attempt("ledger", lambda: _ledger(roster, site))
        yield attempt("data", lambda: _data(site))
        yield from policy_checks(site.policy, None if roster is None else len(roster))
    yield attempt("node key", lambda: _node_key(Path(cfg.node_key)))
    yield from reach(cfg)


def _keys(cfg: SiteConfig) -> Check:
    site = check_keys(cfg)
    if site.member is None:
        return Check(
            "identity, roster", "note", "none: this site does not encrypt", "client.roster"
        )
    roster = site.member.roster
    words = f"{site.name}, one of {len(roster)} on roster version {roster.version}"
    return Check("identity, roster", "ok", words)


def _roster(cfg: SiteConfig) -> Roster | None:
    """The roster of the file; None where there is none, or it cannot be read, which another check says."""
    try:
        member = check_keys(cfg).member
    except (CalyxError, OSError):
        return None
    return None if member is None else member.roster


def _ledger(roster: Roster | None, site: Site) -> Check:
    if site.state_dir is None:
        return Check("ledger", "note", "there is no client.state_dir to keep one in")
    return ledger_row(site.state_dir / "ledger.jsonl", roster)


def _node_key(path: Path) -> Check:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~PRIVATE_MODE:
        return Check(
            "node key", "problem", f"{path} has mode {mode:o}", quote_command("chmod", "600", path)
        )
    read_private(path)
    return Check("node key", "ok", f"{path}")


def _state(site: Site) -> Check:
    folder = site.state_dir
    if folder is None:
        return Check("state", "problem", "there is no client.state_dir", "name a folder for it")
    check = private_folder("state", folder, MIN_DISK_BYTES)
    if check.state != "ok":
        return check
    ledger = folder / "ledger.jsonl"
    kept = f"its ledger has {ledger.stat().st_size} bytes" if ledger.exists() else "no ledger yet"
    return Check("state", "ok", f"{check.found}; {kept}")


def _data(site: Site) -> Check:
    folder = site.data_dir
    if folder is None:
        return Check("data", "note", "no client.data_dir", "fine for tasks that bring their data")
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; see client.data_dir.")
    sizes = []
    for path in islice(_files(folder), MAX_FILES):
        with open(path, "rb", opener=plain) as file:
            file.read(1)
            sizes.append(os.fstat(file.fileno()).st_size)
    if not sizes:
        return Check("data", "note", f"{folder} holds no file", "put what the task reads there")
    least = "at least " if len(sizes) == MAX_FILES else ""
    files = say_count(len(sizes), "file")
    return look(site, folder, f"{folder}: {least}{files}, {_size(sum(sizes))}, readable")


def _files(folder: Path) -> Iterator[Path]:
    """Every plain file below a folder. Raises OSError for a folder that cannot be listed."""

    def refuse(error: OSError) -> None:
        raise error

    for root, _, names in os.walk(folder, onerror=refuse):
        yield from (path for name in names if (path := Path(root, name)).is_file())


def _size(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def manifest_row(cfg: SiteConfig, keys: Check) -> Check:
    """Whether the manifest allows what is installed. Raises CalyxError."""
    if cfg.manifest is None:
        words = "none: this site runs any code that the operator has too"
        return Check(
            "manifest", "note", words, "ask the consortium for one, and name it in the file"
        )
    if keys.state == "problem":
        return Check("manifest", "note", "not looked at: its signer is named by the roster")
    manifest = check_manifest(Path(cfg.manifest), check_keys(cfg))
    packages = f", with {', '.join(manifest.packages)}" if manifest.packages else ""
    words = f"version {manifest.version}{packages}; the installed files are what it allows"
    return Check("manifest", "ok", f"{words}; {describe_unmeasured()}")


def ledger_row(path: Path, roster: Roster | None, now: float | None = None) -> Check:
    """Whether what a site has answered lets it answer again. Raises OSError."""
    now = time.time() if now is None else now
    if not path.exists():
        return Check("ledger", "ok", "none yet: this site has answered nothing")
    try:
        ledger = read_ledger(path)
    except ValueError as error:
        return Check("ledger", "problem", printable(str(error)), "put a copy of the file back")
    try:
        if roster is not None:
            ledger.check_roster(roster)
    except Refusal as error:
        mend = "every order is refused until a newer roster is there"
        return Check("ledger", "problem", printable(str(error)), mend)
    if latest := ledger.ahead(now):
        return Check("ledger", "note", clock_sentence(latest, now), "compare with `date`")
    runs, vectors = len(ledger.runs), len(ledger.vectors)
    version = f", roster version {ledger.roster_version}" if ledger.roster_version else ""
    return Check("ledger", "ok", f"runs: {runs}, answers that left: {vectors}{version}")


UNREAD = "rows not looked at: no schema.yaml there says how"
ADD = "if they are for task=csv, put the schema.yaml that all sites agree on beside them"
MEND = "mend the file, or the schema.yaml that all sites agree on"


def look(site: Site, folder: Path, files: str) -> Check:
    """The check of a folder whose `files` are counted in words; rows are read, checked and split."""
    from calyx.tasks.csv import Csv  # late: other folders need none of it
    from client.rows.data import rows_of

    try:
        if not {path.name.lower() for path in folder.iterdir()} & set(SCHEMAS):
            is_table = bool(tables_in(folder) or part_folders(folder))
            return Check("data", "note" if is_table else "ok", f"{files}; {UNREAD}", ADD * is_table)
        section = {
            "name": Csv.name,
            "schema": str(schema_in(folder)),
            "clients": [site.name],
            "hidden": 0,
            "w_max": None,
        }
        rows = rows_of(Csv.completed(section), 1, site.name, folder)
    except (CalyxError, ClientFailure) as error:
        return Check("data", "problem", str(error), MEND)
    parts = ", ".join(f"{len(part)} to {name}" for name, part in rows.parts.items())
    words = (
        f"{files}; {say_count(len(rows.table), 'row')} of {site.name} as schema.yaml says: {parts}"
    )
    odd = [finding for finding in rows.findings if finding.severity == "warning"]
    if len(rows.table) < site.policy.min_cell:
        few = f"fewer than client.policy.min_cell={site.policy.min_cell}: the audit hears nothing of them"
        return Check("data", "note", words, f"{few}, and a model trained on so few says little")
    if odd:
        more = f" ({say_count(len(odd) - 1, 'more warning')})" if len(odd) > 1 else ""
        return Check("data", "note", words, f"{odd[0].message}{more}")
    return Check("data", "ok", words)
