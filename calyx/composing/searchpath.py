"""Where Hydra finds the configs of installed packages: the entry point group `calyx.configs`.

A package with a task of its own names there the package that holds `task/NAME.yaml`.
"""

from importlib.metadata import EntryPoint, entry_points

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

GROUP = "calyx.configs"


class InstalledConfigs(SearchPathPlugin):
    """Adds every installed package's configs behind our own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """As Hydra asks for it."""
        for point in installed():
            search_path.append(provider=point.name, path=f"pkg://{point.value}")


def installed() -> list[EntryPoint]:
    """The entry points, by name."""
    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def register() -> None:
    """Tell Hydra, once."""
    Plugins.instance().register(InstalledConfigs)
