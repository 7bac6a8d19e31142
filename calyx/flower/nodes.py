"""Nodes of clients whose names are known: the ids that follow the server's, without a table of them."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from calyx.data.names import NumberedNames
from calyx.flower.messages import SERVER_NODE


@dataclass(frozen=True)
class NumberedNodes(Mapping[str, int]):
    """Client name → node id: those of sorted names follow one another, and none is held."""

    names: Sequence[str]  # sorted

    @override
    def __getitem__(self, name: str) -> int:
        if isinstance(self.names, NumberedNames):
            if name not in self.names:
                raise KeyError(name)
            return self.ids[self.names.index(name)]
        place = bisect_left(self.names, name)
        if place == len(self.names) or self.names[place] != name:
            raise KeyError(name)
        return self.ids[place]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @override
    def __len__(self) -> int:
        return len(self.names)

    @property
    def ids(self) -> range:
        """All nodes; Flower's server is the one before."""
        return range(SERVER_NODE + 1, SERVER_NODE + 1 + len(self.names))

    def name_of(self, node: int) -> str:
        """The client that a node is."""
        return self.names[self.ids.index(node)]


def names_of(nodes: Mapping[str, int]) -> Sequence[str]:
    """The clients of a mapping from name to node, sorted."""
    return nodes.names if isinstance(nodes, NumberedNodes) else tuple(sorted(nodes))
