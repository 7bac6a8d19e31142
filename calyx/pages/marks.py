"""By which letter and colour a setting of a comparison is known on the page. Pure."""

STRONG = 8  # settings of a group that have a colour; the others are grey
_LETTERS = "ABCDEFGH"


def letter_of(place: int, prefix: str = "") -> str:
    """A, B, …; behind the number of its group where there are several; a dash for a grey one."""
    return f"{prefix}{_LETTERS[place]}" if place < STRONG else "–"


def kind_of(place: int) -> str:
    """The class of its lines and letters in the style sheet."""
    return f"g{place}" if place < STRONG else "grey"
