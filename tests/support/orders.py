"""Orders of a run as an honest server writes them; without rows, models or clients."""

from calyx.composing.compose import compose, resolve
from calyx.run.order import Link, Order, terms_of

TERMS = terms_of(resolve(compose([])))
NAMES = tuple("abcdef")


def digit(number):
    return f"{number:064x}"


def order(kind="train", round=1, **changes):
    """A sound order, of model n with weights n, which sum n made."""
    number = {"train": round - 1, "evaluate": round, "robust": round, "test": round}.get(kind, 0)
    has_links = kind in ("train", "evaluate", "robust") and (kind, round) != ("train", 1)
    values = {
        "protocol": "calyx/1",
        "run": "run",
        "attempt": 1,
        "weights": digit(number),
        "is_validated": False,
        "previous": (link(number),) if has_links else (),
        "abandoned": (),
        "groups": (NAMES,),
        "members": None,
        "rounds": 9,
        "best": 0,
        "deadline_s": 60.0,
        "terms": TERMS,
    }
    return Order(kind=kind, round=round, **(values | changes))


def link(number, root="f"):
    return Link(ctx=digit(number), root=root * 64)
