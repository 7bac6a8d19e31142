"""A client's own config: what its machine decides, whatever an order says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from calyx.config.section import Section, canonical_json, config, parse
from calyx.errors import ConfigError
from calyx.machine.hardware import HardwareConfig
from calyx.secagg.participant import Member
from calyx.secagg.roster import Roster, read_roster
from calyx.words.sentences import join_names
from client.gate.policy import ADDED, PolicyConfig

_NAME_KEY = "client-name"  # in Flower's node config
_CONFIG_KEY = "client-config"
_IDENTITY_KEY = "client-identity"  # in simulation only: a key made for one run
_ROSTER_KEY = "client-roster"
_STORE_KEY = "client-store"  # in simulation only: a folder of the run's


@config
class ClientConfig:
    """The section `client`."""

    name: str
    data_dir: str | None  # where this client's data lies; null: the task's own source
    hardware: Section  # of this client's machine
    state_dir: str | None  # of its ledger and log; null: nowhere, which a simulation may do
    identity: str | None  # file of its Ed25519 key
    roster: str | None  # file of the roster that it trusts
    policy: PolicyConfig

    def __post_init__(self) -> None:
        """A key without a roster encrypts nothing, nor a roster without a key."""
        if (self.identity is None) != (self.roster is None):
            raise ValueError("identity and roster go together: name both files, or neither")


@dataclass(frozen=True)
class Site:
    """Who this client is, and what its machine gives it and asks for."""

    name: str
    data_dir: Path | None
    state_dir: Path | None
    hardware: HardwareConfig
    policy: PolicyConfig
    member: Member | None  # its place in the pinned roster; None without keys
    store: Path | None = None  # where what a run began with is kept, and what a strategy keeps

    @property
    def is_deployed(self) -> bool:
        """Whether it is a machine of its own, with a state that outlives a run; or simulated."""
        return self.state_dir is not None


@dataclass(frozen=True)
class RunKeys:
    """A client's keys for one run of a simulation, in place of the files of a site."""

    identity: bytes
    roster: str  # as JSON


def node_config(
    name: str, section: Section, keys: RunKeys | None = None, store: Path | None = None
) -> dict[str, str]:
    """Flower's flat node config for a client called `name` with this section `client`.

    `store` is the folder of a simulation.
    """
    values = {_NAME_KEY: name, _CONFIG_KEY: canonical_json(section)}
    if store is not None:
        values[_STORE_KEY] = str(store.absolute())
    if keys is not None:
        values |= {_IDENTITY_KEY: keys.identity.hex(), _ROSTER_KEY: keys.roster}
    return values


def is_named(values: Mapping[str, object]) -> bool:
    """Whether a node config is one of `node_config`."""
    return _NAME_KEY in values or _CONFIG_KEY in values


def read_site(values: Mapping[str, object]) -> Site:
    """The site behind a node config. Raises UserError."""
    name, text = values.get(_NAME_KEY), values.get(_CONFIG_KEY)
    if not isinstance(name, str) or not isinstance(text, str):
        raise ConfigError(f"The node config needs {_NAME_KEY} and {_CONFIG_KEY}.")
    cfg, hardware = _sections(text)
    return Site(
        name,
        Path(cfg.data_dir) if cfg.data_dir else None,
        Path(cfg.state_dir) if cfg.state_dir else None,
        hardware,
        cfg.policy,
        _member(name, cfg, values),
        _store(cfg, values),
    )


def _store(cfg: ClientConfig, values: Mapping[str, object]) -> Path | None:
    if cfg.state_dir is not None:
        return Path(cfg.state_dir) / "strategy"
    folder = values.get(_STORE_KEY)
    return Path(folder) if isinstance(folder, str) else None


@lru_cache(maxsize=8)  # a simulation's clients share one section
def _sections(text: str) -> tuple[ClientConfig, HardwareConfig]:
    section = json.loads(text)
    _refuse_older(section.get("policy"))
    cfg = parse(ClientConfig, section, "client")
    return cfg, parse(HardwareConfig, cfg.hardware, "client.hardware")


def _refuse_older(policy: object) -> None:
    """Raise ConfigError that names all keys which a policy of an earlier version lacks, with values."""
    if not isinstance(policy, dict):
        return
    lacking = {key: value for key, value in ADDED.items() if key not in policy}
    if lacking:
        parse(PolicyConfig, policy | lacking, "client.policy")  # other mistakes come first
        lines = join_names([f"{key}: {value}" for key, value in lacking.items()])
        raise ConfigError(
            f"client.policy lacks {join_names(list(lacking))}, which this version asks for; write {lines}, "
            "or values of your own, into it."
        )


def _member(name: str, cfg: ClientConfig, values: Mapping[str, object]) -> Member | None:
    identity, roster = values.get(_IDENTITY_KEY), values.get(_ROSTER_KEY)
    if isinstance(identity, str) and isinstance(roster, str):
        return _simulated_member(name, identity, roster)
    if cfg.identity is None or cfg.roster is None:
        return None
    from calyx.trust.key_files import read_identity, read_roster_file

    return _find_member(name, read_identity(Path(cfg.identity)), read_roster_file(Path(cfg.roster)))


@lru_cache(maxsize=4096)  # a simulation's clients share a process, and are asked often
def _simulated_member(name: str, identity: str, roster: str) -> Member:
    return _find_member(name, bytes.fromhex(identity), _read_roster(roster))


@lru_cache(maxsize=4)
def _read_roster(text: str) -> Roster:
    return read_roster(text)


def _find_member(name: str, identity: bytes, roster: Roster) -> Member:
    if name not in roster.indices:
        raise ConfigError(
            f"The roster does not name {name}; ask the consortium for one that does, or see client.name."
        )
    member = Member(roster.indices[name], identity, roster)
    if not member.owns_its_key:
        raise ConfigError(
            f"The roster gives {name} another key than client.identity; ask the consortium for a "
            "roster with this client's present key."
        )
    return member
