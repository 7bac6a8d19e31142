"""`calyx doctor site SITE.yaml`: everything that could keep a site from taking part, and its cure."""

import socket
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from calyx.bounded_http import bounded_client, in_words, is_distrust, seconds_ahead
from calyx.certificates import read_private
from calyx.errors import UserError
from calyx.key_files import PRIVATE_MODE
from cli.arguments import Parser
from cli.checks import Check, attempt, show
from cli.doctor import packages
from client.config import Site, node_config, read_site
from client.site import SiteConfig, check_code, check_keys, read_site_config

NOTE_CLOCK_S, BAD_CLOCK_S = 30, 240  # node keys are believed for 300 s
SOON_DAYS = 30


def main(arguments: Sequence[str]) -> int:
    """Print a table; 0 if the site can take part. Raises UserError for a file that is none."""
    parser = Parser(prog="calyx doctor site", description=__doc__)
    parser.add_argument("config", help="this site's YAML file")
    cfg = read_site_config(Path(parser.parse_args(arguments).config))
    return show(_checks(cfg), "This site can take part.")


def _checks(cfg: SiteConfig) -> Iterator[Check]:
    yield packages()
    site = read_site(node_config(str(cfg.client.get("name")), cfg.client | {"identity": None}))
    yield attempt("identity, roster", lambda: _keys(cfg))
    yield attempt("manifest", lambda: _manifest(cfg))
    yield attempt("node key", lambda: _node_key(Path(cfg.node_key)))
    yield attempt("state", lambda: _state(site))
    yield attempt("data", lambda: _data(site))
    yield _policy(site)
    yield from _server(cfg)


def _keys(cfg: SiteConfig) -> Check:
    site = check_keys(cfg)
    if site.member is None:
        return Check(
            "identity, roster", "note", "none: this site does not encrypt", "client.roster"
        )
    roster = site.member.roster
    found = f"{site.name}, one of {len(roster)} on roster version {roster.version}"
    return Check("identity, roster", "ok", found)


def _manifest(cfg: SiteConfig) -> Check:
    if cfg.manifest is None:
        found = "none: this site runs any code that the operator has too"
        return Check(
            "manifest", "note", found, "ask the consortium for one, and name it in the file"
        )
    version = check_code(Path(cfg.manifest), check_keys(cfg))
    return Check("manifest", "ok", f"version {version}; the installed files are what it allows")


def _node_key(path: Path) -> Check:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~PRIVATE_MODE:
        return Check("node key", "problem", f"{path} has mode {mode:o}", f"chmod 600 {path}")
    read_private(path)
    return Check("node key", "ok", f"{path}")


def _state(site: Site) -> Check:
    folder = site.state_dir
    if folder is None:
        return Check("state", "problem", "there is no client.state_dir", "name a folder for it")
    if not folder.exists():
        return Check("state", "ok", f"{folder} will be made")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        return Check("state", "problem", f"others may look into {folder}", f"chmod 700 {folder}")
    with (folder / ".doctor").open("wb"):
        (folder / ".doctor").unlink()
    ledger = folder / "ledger.jsonl"
    found = f"{ledger} has {ledger.stat().st_size} bytes" if ledger.exists() else "no ledger yet"
    return Check("state", "ok", f"{folder} is writable, and its owner's alone; {found}")


def _data(site: Site) -> Check:
    if site.data_dir is None:
        return Check("data", "note", "no client.data_dir", "fine for tasks that bring their data")
    if not site.data_dir.is_dir():
        raise UserError(f"There is no folder {site.data_dir}; see client.data_dir.")
    files = [path for path in site.data_dir.iterdir() if path.is_file()]
    for path in files:
        with path.open("rb") as file:
            file.read(1)
    return Check("data", "ok", f"{site.data_dir}: {len(files)} files, readable")


def _policy(site: Site) -> Check:
    policy = site.policy
    open_ends = [
        name
        for name, value in (
            ("bounds", policy.bounds),
            ("runs_a_day", policy.runs_a_day),
            ("sums_a_day", policy.sums_a_day),
        )
        if value is None
    ]
    found = f"privacy={policy.privacy}, sums of at least {policy.n_min}"
    if policy.privacy == "none":
        mend = "the server sees every update; write privacy: secagg"
        return Check("policy", "note", found, mend)
    if open_ends:
        mend = "write bounds of your own in client.policy"
        return Check("policy", "note", f"{found}; no limit on {', '.join(open_ends)}", mend)
    return Check("policy", "ok", found)


def _server(cfg: SiteConfig) -> Iterator[Check]:
    """Reached as `calyx client` will reach it; nothing of this site is sent."""
    try:
        with (
            bounded_client(Path(cfg.authority)) as client,
            client.stream("GET", f"https://{cfg.server}/") as answer,
        ):
            certificate = _certificate(answer)
    except UserError as error:
        yield Check("server", "problem", str(error), "get ca.crt from the operator")
        return
    except httpx.HTTPError as error:
        yield _unreachable(cfg, error)
        return
    yield Check("server", "ok", f"{cfg.server} answers, with a certificate of {cfg.authority}")
    yield certificate
    yield _clock(answer)


def _unreachable(cfg: SiteConfig, error: httpx.HTTPError) -> Check:
    found = f"{cfg.server}: {in_words(error)}"
    if is_distrust(error):
        mend = "compare ca.crt with the operator's, and the host's name with its certificate"
        return Check("server", "problem", found, mend)
    host = cfg.server.rpartition(":")[0]
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return Check("server", "problem", found, f"the name {host} is not known here: see DNS")
    mend = "is it running, and does every firewall between let this port through?"
    return Check("server", "problem", found, mend)


def _certificate(answer: httpx.Response) -> Check:
    stream = answer.extensions["network_stream"]
    ends = stream.get_extra_info("ssl_object").getpeercert()["notAfter"]
    left = (parsedate_to_datetime(ends).replace(tzinfo=UTC) - datetime.now(UTC)).days
    found = f"the server's certificate ends in {left} days"
    if left < SOON_DAYS:
        return Check("certificate", "note", found, "tell the operator: `calyx keys renew`")
    return Check("certificate", "ok", found)


def _clock(answer: httpx.Response) -> Check:
    ahead = seconds_ahead(answer)
    found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    if abs(ahead) > NOTE_CLOCK_S:
        is_bad = abs(ahead) > BAD_CLOCK_S
        return Check("clock", "problem" if is_bad else "note", found, "set it by NTP")
    return Check("clock", "ok", found)
