"""The section `engine`: where the clients of a run are, and how many of them work at once.

The server knows no engine: what it must know of one it is told (docs/decisions/0071).
"""

from importlib.util import find_spec
from typing import ClassVar, Literal

from calyx.config.section import NonNegativeInt, PositiveInt, Section, config, parse
from calyx.errors import ConfigError
from calyx.machine.hardware import cores
from calyx.words.extras import advise_extra
from server.job import Engine


@config
class EmbeddedConfig:
    """The section `engine` of clients on this machine, or on their own (superlink)."""

    name: Literal["embedded", "superlink"]
    workers: NonNegativeInt | None  # processes; null is one a core; 0 runs clients in this process
    cohort: bool  # whether many clients are trained as one computation, where that can be

    def __post_init__(self) -> None:
        """Refuse workers, and their common computation, where each site is a process of its own."""
        if self.clients_remember and self.workers is not None:
            raise ValueError(
                "workers is of simulations; on engine=superlink each site is a process"
            )
        if self.clients_remember and self.cohort:
            raise ValueError("cohort is of simulations; on engine=superlink each site trains alone")

    @property
    def clients_remember(self) -> bool:
        """Whether clients outlive the server and know what they have answered (decision 0071)."""
        return self.name == "superlink"

    def count(self, clients: int) -> int:
        """Processes to start for so many clients."""
        if self.workers is not None:
            return min(self.workers, clients, cores())
        return max(1, min(cores(), clients))

    def remarks(self, clients: int) -> list[str]:
        """What the section asks for and does not get, in sentences."""
        count = self.count(clients)
        if self.workers is None or count == self.workers:
            return []
        most = "clients of the run" if count == clients else "cores of this machine"
        return [f"engine.workers={self.workers} is more than the {count} {most}: {count} work."]


@config
class RayConfig:
    """The section `engine` of Flower's simulation on Ray."""

    clients_remember: ClassVar[bool] = False

    name: Literal["ray"]
    workers: PositiveInt | None  # actors at once, a core each; null is one a core
    address: str | None  # of a cluster, as `ray.init` takes it; null starts Ray on this machine

    def count(self, clients: int) -> int | None:
        """Actors to start for so many clients; None is as many as the cluster has cores."""
        if self.workers is not None:
            return min(self.workers, clients)
        return None if self.address else max(1, min(cores(), clients))


EngineConfig = EmbeddedConfig | RayConfig


def read_engine(section: Section) -> EngineConfig:
    """The section, typed. Raises ConfigError."""
    if section.get("name") == "ray":
        return parse(RayConfig, section, "engine")
    return parse(EmbeddedConfig, section, "engine")


def tell(engine: EngineConfig) -> Engine:
    """What the server is told of the engine."""
    return Engine(name=engine.name, clients_remember=engine.clients_remember)


def check_installed(engine: EngineConfig) -> None:
    """Raise ConfigError where the engine's extra is not installed."""
    if isinstance(engine, RayConfig) and find_spec("ray") is None:
        raise ConfigError(f"engine=ray needs the extra ray: {advise_extra('ray')}")
