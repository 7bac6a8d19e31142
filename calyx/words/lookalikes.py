"""Names that a person cannot tell apart: Unicode Technical Standard 39, §4 (skeletons).

See docs/decisions/0062.
"""

import unicodedata
from collections.abc import Iterable

from confusable_homoglyphs.confusables import confusables_data


def lookalikes(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two different names that look alike, or differ in upper and lower case alone."""
    seen: dict[tuple[str, str], str] = {}
    for name in names:
        for form in (("looks", _skeleton(name)), ("case", name.casefold())):
            if seen.setdefault(form, name) != name:
                return seen[form], name
    return None


def _skeleton(name: str) -> str:
    """What names that look alike have in common; it is not to be shown."""
    plain = unicodedata.normalize("NFKD", name)
    return unicodedata.normalize("NFKD", "".join(map(_prototype, plain)))


def _prototype(character: str) -> str:
    """The character, or the two, that stand for all that look like this one.

    The library lists under a character what it can be confused with, which is its prototype alone
    unless it is one itself.
    """
    alike = [one["c"] for one in confusables_data.get(character, ())]
    if len(alike) != 1:
        return character
    other = str(alike[0])
    is_pair = len(other) == 1 and len(confusables_data.get(other, ())) == 1
    return min(character, other) if is_pair else other
