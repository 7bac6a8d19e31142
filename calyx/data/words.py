"""Words that stand in rows: categories, classes and clients, and how a cell is compared with them.

A text is compared as text. A number that the schema declares without quotes is every way of writing
exactly that number: 1, 1.0 and 01. Nothing is compared as a floating-point number. Decision 0038.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from calyx.errors import printable

Word = str | int | float  # text; or a number that is one, as JSON holds it
LONGEST = 300  # characters of a cell that may be a number


def one_form(text: str) -> str:
    """A word without blanks around it, its letters in one form: é is one letter, or e with a mark."""
    return unicodedata.normalize("NFC", text).strip()


def show_word(word: Word) -> str:
    """A word as a person writes it: 1e-07 is 0.0000001."""
    return word if isinstance(word, str) else f"{Decimal(repr(word)):f}"


def exact(text: str, decimal: str = ".") -> Decimal | None:
    """The number that a cell writes with digits, a sign and a decimal mark; None for other text.

    A word with an exponent, such as the code 12E4, is no number here.
    """
    pattern = rf"[+-]?[0-9]+({re.escape(decimal)}[0-9]*)?"
    if len(text) > LONGEST or not re.fullmatch(pattern, text):
        return None
    return Decimal(text.replace(decimal, "."))


class Places:
    """The places of words in a list of categories or classes.

    `same` are other words of the files, compared as texts, and for each the one in the list that it is.
    """

    def __init__(
        self, words: Sequence[Word], decimal: str = ".", same: Mapping[str, Word] | None = None
    ) -> None:
        self._decimal = decimal
        self._texts = {one_form(w): i for i, w in enumerate(words) if isinstance(w, str)}
        self._numbers = {Decimal(repr(w)): i for i, w in enumerate(words) if not isinstance(w, str)}
        declared = Places(words) if same else self
        for word, meant in (same or {}).items():
            place = declared.of(show_word(meant))
            if place is not None:
                self._texts.setdefault(one_form(word), place)

    def of(self, cell: str) -> int | None:
        """The place of a cell's word; None where it is none of them."""
        text = one_form(cell)
        if text in self._texts or not self._numbers:
            return self._texts.get(text)
        number = exact(text, self._decimal)
        return None if number is None else self._numbers.get(number)

    def nearly(self, cell: str) -> str | None:
        """The text among the words that writes the same number as a cell in another way."""
        number = exact(one_form(cell), self._decimal)
        texts = (text for text in self._texts if exact(text, self._decimal) == number)
        return None if number is None else next(texts, None)


def check_same(words: Sequence[Word], same: Mapping[str, Word]) -> None:
    """Raise ValueError unless each of the `same` stands for one of the words, and is none itself."""
    places = Places(words)
    if same and not words:
        raise ValueError("same is for categories and classes, and a number has none")
    for word, meant in same.items():
        if places.of(word) is not None:
            raise ValueError(
                f"{printable(word, 40)} is a category, and same says that it is another; take it out of "
                "one of them"
            )
        if places.of(show_word(meant)) is None:
            raise ValueError(
                f"same says that {printable(word, 40)} is {printable(show_word(meant), 40)}, which is none "
                "of the categories"
            )


def none_of(cell: str, words: Sequence[Word], what: str) -> str:
    """That a cell is none of a schema's words, and whether it is one in another way of writing."""
    return f"{describe_strange(cell, words)} is none of its {what}"


def describe_strange(cell: str, words: Sequence[Word]) -> str:
    """A strange cell for a person, beside the declared word that it may be, and the key that says so."""
    near = Places(words).nearly(cell)
    if near is None:
        form = fold(cell)
        likely = next((w for w in words if isinstance(w, str) and fold(w) == form), None)
        if likely is None:
            return repr(printable(cell, 40))
        return (
            f"{printable(cell, 40)!r} (if it is {printable(likely, 40)}, say same: "
            f"{{{_as_yaml(cell)}: {_as_yaml(likely)}}} in the schema)"
        )
    return (
        f"{printable(cell, 40)!r} ({printable(near, 40)} is declared as a text; as a number it has no "
        "quotes in the schema)"
    )


def fold(word: str) -> str:
    """What is left of a word without its case and its blanks."""
    return "".join(one_form(word).casefold().split())


def _as_yaml(word: str) -> str:
    is_plain = re.fullmatch(r"[^\W\d]\w*", word)
    return printable(word if is_plain else json.dumps(word, ensure_ascii=False), 44)


def alike(words: Iterable[Word]) -> tuple[str, str] | None:
    """The first two words that no cell could be told apart by; None if there are none."""
    seen: list[Word] = []
    for word in words:
        for other in seen:
            if Places([other]).of(show_word(word)) == 0 or Places([word]).of(show_word(other)) == 0:
                return show_word(other), show_word(word)
        seen.append(word)
    return None
