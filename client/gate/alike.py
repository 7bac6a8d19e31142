"""What is the same for all clients of a process that were given the very same order, computed once."""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_KEPT = 8  # groups of an order, or orders that are under way at once


def once_for_same(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, whose last results are kept for arguments that are the same objects.

    For pure functions of what never changes, and which costs more to compare than to look at: orders
    hold a whole cohort's names.
    """
    kept: OrderedDict[tuple[int, ...], tuple[tuple[object, ...], T]] = OrderedDict()

    @wraps(function)
    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        objects = (*args, *kwargs.values())
        key = tuple(map(id, objects))
        if key not in kept:
            # The objects are kept too, so that no other one takes the place of one of them.
            kept[key] = objects, function(*args, **kwargs)
            if len(kept) > _KEPT:
                kept.popitem(last=False)
        return kept[key][1]

    return once
