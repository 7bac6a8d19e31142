"""A client on a machine of its own: one process that asks, works, and answers.

It runs the installed app only. A run's bundle is never fetched: its hash must be that of the
bundle that this machine's own code would make. Flower's SuperNode would open a port beside it and
start a process a message; here nothing listens, and what a context needs stays in this process.
See docs/decisions/0015.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flwr.app import Context, Message, RecordDict
from pydantic import JsonValue

from calyx.config.human_yaml import assign_types, read_tree
from calyx.config.section import Section, config, parse
from calyx.data.words import one_form
from calyx.errors import ConfigError, UserError, printable
from calyx.files.foreign import check_plain
from calyx.files.outputs import is_same
from calyx.files.plain import at_home, lock_file, read_bounded, write_atomically
from calyx.flower.bundle import bundle_hash
from calyx.flower.door import Door
from calyx.flower.messages import Patience, as_task
from calyx.flower.site import NotAdmitted, SiteLink
from calyx.trust.bounded_http import is_address
from calyx.trust.manifest import Manifest
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client import journal
from client.code import check_code, note_seen
from client.config import ClientConfig, Site, node_config, read_site
from client.gate.pace import Clock, take_note, wait

log = logging.getLogger(__name__)
HELD_S = 2.0
_KEPT = ("ledger.jsonl", "events.jsonl", "reference.json", "lock", "node-id", "manifest-version")
_CLIENT_PATHS = ("data_dir", "state_dir", "identity", "roster")


@config
class SiteConfig:
    """A site's file: where the server is, how to know it, and the section `client`."""

    server: str  # HOST:PORT of the gateway
    authority: str  # file of the certificate that signs the gateway's
    node_key: str  # file of the key that opens the gateway
    manifest: str | None  # file that says which code may run; null: any that the server has too
    client: Section


def read_site_config(path: Path) -> SiteConfig:
    """A site's YAML file; relative paths in it begin where the program was started.

    Raises UserError.
    """
    tree = read_tree(path, "docs/deploy.md")
    client = assign_types(tree.pop("client", None), ClientConfig, path)
    values = assign_types(tree, SiteConfig, path)
    if client is not None:
        values["client"] = client
    if isinstance(client, dict) and isinstance(client.get("name"), str):
        client["name"] = one_form(client["name"])
    cfg = _at_home(parse(SiteConfig, values, ""))
    if not is_address(cfg.server):
        raise ConfigError(f"server: {cfg.server!r} is no HOST:PORT; ask the operator for it.")
    return cfg


def _at_home(cfg: SiteConfig) -> SiteConfig:
    """Put the home folder in place of `~` in every path."""

    def settle(value: JsonValue) -> JsonValue:
        return at_home(value) if isinstance(value, str) else value

    client = {key: settle(v) if key in _CLIENT_PATHS else v for key, v in cfg.client.items()}
    own = {key: at_home(getattr(cfg, key)) for key in ("authority", "node_key")}
    manifest = None if cfg.manifest is None else at_home(cfg.manifest)
    return replace(cfg, client=client, manifest=manifest, **own)


def check_site(cfg: SiteConfig) -> Site:
    """The site behind a config, with its keys, code and version.

    Raises UserError for what a server need not be asked.
    """
    site = check_keys(cfg)
    if cfg.manifest is not None and site.state_dir is not None:
        note_seen(check_manifest(Path(cfg.manifest), site), site.state_dir)
    return site


def check_keys(cfg: SiteConfig) -> Site:
    """The site behind a config, with its keys. Raises UserError."""
    site = read_site(node_config(str(cfg.client.get("name")), cfg.client))
    if site.policy.privacy == "secagg" and site.member is None:
        raise ConfigError("The site has no client.identity or client.roster, and wants secagg.")
    if site.state_dir is None:
        raise ConfigError("A site needs client.state_dir: the folder of its ledger and its log.")
    if site.state_dir.exists() and not site.state_dir.is_dir():
        raise ConfigError(f"client.state_dir: {site.state_dir} is no folder; name another one.")
    if site.data_dir is not None and is_same(site.state_dir, site.data_dir):
        raise ConfigError(
            f"client.state_dir: {site.state_dir} is client.data_dir too; name a folder of its own."
        )
    return site


def check_manifest(path: Path, site: Site) -> Manifest:
    """That the code is what this site's consortium has signed. Raises UserError."""
    if site.member is None or site.state_dir is None:
        raise ConfigError("A manifest is checked with the roster's consortium: set client.roster.")
    return check_code(path, site.member.roster.consortium, site.state_dir)


class Worker:
    """Answers messages one after another; a context of Flower's for each run."""

    def __init__(self, link: SiteLink, cfg: SiteConfig, clock: Clock = Clock()) -> None:  # noqa: B008 - frozen
        # Once the code is compared: it imports packages that bring questions (docs/decisions/0061).
        from client.app import app

        self._app, self._link, self._clock = app, link, clock
        self._config = dict(node_config(str(cfg.client["name"]), cfg.client))
        self._pace_s = parse(ClientConfig, cfg.client, "client").policy.pace_s
        self._installed = bundle_hash()  # now: files may change while this process runs
        self._contexts: dict[int, Context] = {}
        self._refused: dict[int, bool] = {}

    def answer(self, message: Message) -> Message:
        """The reply, the app's or one code, at the moment when it may leave.

        What the app has looked at rows for is kept until then, and so is an exception: the next
        question for messages would say as well when the work was done.
        """
        run_id, node_id = message.metadata.run_id, self._link.node_id
        as_task(run_id, node_id)
        if run_id not in self._refused:
            self._refused[run_id] = self._link.bundle_hash(run_id) != self._installed
        if self._refused[run_id]:
            log.warning("Run %s was submitted with other code than is installed: refused.", run_id)
            return wire.failure(FailureCode.BUNDLE_REFUSED, message)
        if run_id not in self._contexts:
            values = dict[str, str | int | float | bool](self._config)
            self._contexts = {run_id: Context(run_id, node_id, values, RecordDict(), {})}
        context = self._contexts[run_id]
        came = self._clock.now()  # from here on the server is asked nothing, and can delay nothing
        try:
            reply = self._app(message, context)
        except Exception:
            self._wait(message, context, came)
            raise
        self._wait(message, context, came)
        return reply

    def _wait(self, message: Message, context: Context, came: float) -> None:
        """Wait until the reply to a message may leave; more than one multiple is a line of the journal."""
        if not take_note(context):
            return
        number = wait(self._clock, came, self._pace_s)
        if number > 1:
            kind = printable(message.metadata.message_type, 40)
            journal.write("pace", message=kind, multiple=number, pace_s=self._pace_s)


def run_site(cfg: SiteConfig, site: Site, tell: Callable[[str], None]) -> None:
    """Connect and answer until interrupted; `tell` gets a line an exchange.

    Raises CalyxError where the server does not admit this site.
    """
    if site.state_dir is None:
        raise ConfigError("A site needs client.state_dir: the folder of its ledger and its log.")
    door = Door(cfg.server, Path(cfg.authority), read_bounded(Path(cfg.node_key), 2**14))
    with alone(site.state_dir):
        node = site.state_dir / "node-id"  # there while a process of this site is connected
        link = SiteLink(door, tell)
        try:
            with link.hold_connection(_read_node(node)):
                write_atomically(node, str(link.node_id).encode())
                tell(f"connected to {cfg.server} as node {link.node_id}")
                _answer_all(link, Worker(link, cfg), tell)
        finally:
            if link.has_left:
                node.unlink(missing_ok=True)


def _answer_all(link: SiteLink, worker: Worker, tell: Callable[[str], None]) -> None:
    patience = Patience()
    while True:
        try:
            asked = time.monotonic()
            message = link.receive()
            started = time.monotonic()
            if message is None:
                if started - asked < HELD_S:  # nobody held the question until there was something
                    patience.sleep()
                continue
            patience.reset()
            reply = worker.answer(message)
            seconds = time.monotonic() - started
            link.reply(reply, message)
            tell(_line(message, reply, seconds))
        except NotAdmitted:
            raise
        except Exception as error:
            log.debug("An exchange failed.", exc_info=True)
            tell(f"an exchange failed: {printable(str(error))}")
            patience.sleep()


def _read_node(path: Path) -> int | None:
    """The node that a process was which did not end by itself."""
    text = read_bounded(path, 64).decode(errors="replace") if path.exists() else ""
    return int(text) if text.isdecimal() else None


@contextmanager
def alone(state_dir: Path) -> Iterator[None]:
    """Hold the lock of a site inside the block: a second process would answer twice. Raises UserError."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in _KEPT:
        check_plain(state_dir / name)
    with lock_file(state_dir / "lock", is_inherited=True) as is_free:
        if not is_free:
            raise UserError(
                f"Another `calyx client` runs with {state_dir}; one site is one process."
            )
        yield


def _line(message: Message, reply: Message, seconds: float) -> str:
    outcome = wire.failure_reason(reply) if reply.has_error() else "answered"
    return f"{printable(message.metadata.message_type, 40):<16}  {outcome}  {seconds:.2f} s"
