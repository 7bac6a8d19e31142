"""Wild folders as programs export them, each a number: a site's file each, all written in one way.

What a cell means is drawn first and then written, so that meanings are known without reading it.
"""

import csv
import io
import random
from dataclasses import dataclass, field

SIGNS = {"$": "${}", "%": "{}%", "€": "{} €", "kg": "{} kg", "": "{}"}
WORDS = [
    ["red", "green", "blue"],
    ["Köln", "Bonn, Stadt", "#1"],
    ["007", "010", "250.10"],
    ["1", "2"],
]
ROWS = 40


@dataclass
class Export:
    """Files by name, and of each the meanings of its columns: numbers, words or None for missing."""

    files: dict[str, bytes]
    meant: dict[str, dict[str, list[object]]]
    numbers: set[str] = field(default_factory=set)  # columns of numbers that a draft should read
    target: str = "outcome"


def make(number):
    """The folder of a number."""
    return _Writer(random.Random(number)).export()


class _Writer:
    def __init__(self, draw):
        self.draw = draw
        self.delimiter = draw.choice(",;\t|")
        self.decimal = draw.choice(".,") if self.delimiter != "," else "."
        self.group = draw.choice(["", "", *(mark for mark in ".,' " if mark != self.decimal)])
        self.encoding = draw.choice(["utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16"])
        self.end = draw.choice(["\n", "\r\n"])
        self.sep = self.delimiter in ",;" and draw.random() < 0.2  # Excel's first line

    def export(self):
        kinds = self.draw.choices(["amount", "share", "word", "flag", "date", "note", "one"], k=5)
        columns = {f"{kind} {i}": self.column(kind) for i, kind in enumerate(["amount", *kinds])}
        is_number = self.draw.random() < 0.3
        labels = self.draw.choice([["no", "yes"], ["A", "B", "C"], ["0", "1"]])
        spelt = self.draw.randrange(5) if not is_number and self.draw.random() < 0.4 else None
        holes = 0.1 * (self.draw.random() < 0.4)
        columns["outcome"] = self.column("amount", 0) if is_number else (labels, holes, str)
        found = Export({}, {}, {name for name in columns if name.startswith("amount")})
        for site in range(5):
            rows, meant = [], {name: [] for name in columns}
            for _ in range(ROWS):
                row = []
                for name, (values, missing, write) in columns.items():
                    value = values(self) if callable(values) else self.draw.choice(values)
                    value = None if self.draw.random() < missing else value
                    meant[name].append(value)
                    row.append("" if value is None else write(value))
                if site == spelt:
                    row[-1] = row[-1].swapcase()
                rows.append(row)
            found.files[f"site-{site}.csv"] = self.text([list(columns), *rows])
            found.meant[f"site-{site}"] = meant
        return found

    def column(self, kind, missing=None):
        """What a column's cells may mean, the share without a value, and how one is written."""
        missing = self.draw.choice([0, 0, 0.1]) if missing is None else missing
        sign = SIGNS[self.draw.choice([s for s in SIGNS if self.encoding != "cp1252" or s != "€"])]
        match kind:
            case "amount":
                size = self.draw.choice([1, 1000, 100000])
                return lambda w: round(w.draw.random() * size, 2), missing, self.number(sign)
            case "share":
                return lambda w: round(w.draw.random(), 3), missing, self.number("{}")
            case "word":
                return self.draw.choice(WORDS), missing, str
            case "flag":
                return ["TRUE", "FALSE"], missing, str
            case "date":
                return (
                    lambda w: f"{w.draw.randint(1, 28)}.{w.draw.randint(1, 12)}.2024",
                    missing,
                    str,
                )
            case "note":
                return lambda w: f"note {w.draw.random()}", missing, str
            case _:
                return ["always"], 0, str

    def number(self, sign):
        def write(value):
            whole, _, part = f"{value}".partition(".")
            grouped = f"{int(whole):,}".replace(",", self.group)
            return sign.format(f"{grouped}{self.decimal}{part}" if part else grouped)

        return write

    def text(self, rows):
        file = io.StringIO(newline="")
        if self.sep:
            file.write(f"sep={self.delimiter}{self.end}")
        csv.writer(file, delimiter=self.delimiter, lineterminator=self.end).writerows(rows)
        return file.getvalue().encode(self.encoding)
