"""Where Hydra finds the configs of installed packages: the entry point group `calyx.configs`.

A package with a task of its own names there the package that holds `task/NAME.yaml`.
"""

from importlib.metadata import entry_points

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from typing_extensions import override

GROUP = "calyx.configs"


class InstalledConfigs(SearchPathPlugin):
    """Adds every installed package's configs behind our own."""

    @override
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            search_path.append(provider=point.name, path=f"pkg://{point.value}")


def register() -> None:
    """Make Hydra look for configs in installed packages; a second call changes nothing."""
    Plugins.instance().register(InstalledConfigs)
