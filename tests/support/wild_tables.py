"""Wild CSV files with a schema, each a number: sound ones, and ones with one fault in a known place.

What stands in a cell and what it means are drawn together, and the file is written by hand, so that
lines and meanings are known without reading it. tests/calyx/tasks/test_every_table.py reads them.
"""

import random
import unicodedata
from dataclasses import dataclass, field

from support.wild_faults import BAD_BYTE, DROPPED, FAULTS, spoil_header

NAMES = ["NA", "NaN", "?", "-", "null", "None", "1", "target", "x", "y", "true", "nan", "größe"]
NAMES += ["a,b", "a;b", "it's", 'say "so"', "sum(x)", "010", "client", "dose [mg]", "two\nlines"]
WORDS = ["yes", "no", "über", "a,b", "a;b", "in\there", 'in "quotes"', "12:30", "#1", "it's", "Ja"]
WORDS += ["010", "1e3", "0x1F", "1_0", "1.50"]
TEXTS = ["", "fine", '6" wide', "one, two", "one; two", "NA", 'he said "no"', "=1+1", "ß", "a\tb|c"]
MISSING = (("", "NA", "NaN", "?"), ("", "-"), ("", "n/a", "."), ("", "null", "None", "999x"))
ENCODINGS = ("utf-8", "utf-8", "utf-8", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig")
BLANKS = " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
GROUPS = {",": ",", ".": ".", "'": "'\N{RIGHT SINGLE QUOTATION MARK}", " ": BLANKS}
UNKNOWN, MISSED = -1.0, float("nan")
UNLABELLED = object()  # what a row means that has no label, and is left out
UNITS = ["", "", "%", "$", "kg", "€", "µg/L"]


@dataclass
class Column:
    """A column: what it is to the schema, and each row's cell with its meaning."""

    name: str
    role: str  # number, words, unread, target or client
    heading: str  # the name that the file has
    words: list[object] = field(default_factory=list)
    same: dict[str, object] = field(default_factory=dict)
    unit: str = ""
    cells: list[str] = field(default_factory=list)
    meant: list[object] = field(default_factory=list)


@dataclass
class WildTable:
    """A file's bytes, how it is written, what its rows mean, and what is wrong with it."""

    content: bytes
    schema: dict[str, object]
    columns: list[Column]
    lines: list[int]  # where each row begins
    fault: tuple[str, ...]  # what a refusal must say; none of a sound file
    encoding: str  # of the file
    delimiter: str
    above: int  # lines above the names


def make(number):
    """The table of a number."""
    return _Writer(random.Random(number)).table()


class _Writer:
    """How one file is written."""

    def __init__(self, draw):
        self.draw = draw
        self.delimiter = draw.choice(",,;;\t|")
        self.decimal = draw.choice(".,")
        self.thousands = draw.choice([None, None, *(m for m in GROUPS if m != self.decimal)])
        self.missing = draw.choice(MISSING)
        self.encoding = draw.choice(ENCODINGS)
        self.ends = draw.choice([["\n"], ["\n"], ["\r\n"], ["\r"], ["\n", "\r\n"]])
        self.sep = self.may(0.1)  # Excel's first line says the delimiter, and the schema another
        self.marked = self.encoding in ("utf-16", "utf-8-sig") and self.may(0.5)
        self.drop = self.may(0.3)
        self.line_breaks = self.may(0.2)
        self.beyond = self.delimiter if self.may(0.1) else ""  # at the end of every row
        self.rows = draw.choice([0, 1, 2, 3, 5, 8])
        self.raw = {}  # by row and column: what is written as it is
        self.fault = ()
        self.doubts = []  # rows that are refused though they are sound, and what is said

    def may(self, share):
        return self.draw.random() < share

    def one(self, texts):
        """One that the file's encoding has."""
        return self.draw.choice([t for t in texts if _is_in(t, self.encoding)])

    def table(self):
        columns = self.columns()
        for column in columns:
            for _ in range(self.rows):
                cell, meant = self.cell(column)
                column.cells.append(cell)
                column.meant.append(meant)
        (answer,) = (c for c in columns if c.role == "target")
        labelled = [row for row in range(self.rows) if answer.meant[row] is not UNLABELLED]
        row = self.draw.choice(labelled or [0])
        if labelled and self.may(0.5):
            self.draw.choice(FAULTS)(self, columns, row)
        elif self.may(0.1):
            spoil_header(self, columns)
        schema = self.schema(columns)
        text, lines = self.text(columns)
        line = lines[row] if lines else 0
        fault = tuple(words.format(line=line).replace("\n", "?") for words in self.fault)
        place = min(self.raw)[0] if self.raw else self.rows
        if self.doubts and self.doubts[0][0] < place and BAD_BYTE not in text:
            fault = (self.doubts[0][1],)
        content = text.encode(self.encoding).replace(BAD_BYTE.encode(), b"\xff")
        written = self.encoding.removesuffix("-sig"), self.delimiter, int(self.sep)
        return WildTable(content, schema, columns, lines, fault, *written)

    def columns(self):
        roles = ["target", "unread", *self.draw.choices(["number", "words"], k=3)]
        roles += ["client"] * self.may(0.3) + ["unread"] * self.may(0.3)
        self.draw.shuffle(roles)
        names = self.draw.sample([n for n in NAMES if _is_in(n, self.encoding)], len(roles))
        pairs = zip(names, roles, strict=True)
        columns = [Column(name, role, self.one(_forms(name))) for name, role in pairs]
        self.is_number = self.may(0.4)
        for column in columns:
            if column.role == "words" or (column.role == "target" and not self.is_number):
                column.words = self.draw.sample([*WORDS, 1, 20, 2.5], 3)
                others = [w for w in ["Yes", "Si", *WORDS] if w not in column.words]
                pairs = zip(self.draw.sample(others, 2), column.words, strict=False)
                column.same = dict(pairs) if self.may(0.3) else {}
            elif column.role in ("number", "target"):
                column.unit = self.one(UNITS)
        unread = [c for c in columns if c.role == "unread"]
        if self.may(0.2):
            unread[-1].heading = self.draw.choice(["", unread[0].name])
        return columns

    def cell(self, column):
        """A cell as it is written, and what it means."""
        if column.role == "unread":
            return self.one(["two\nlines"] if self.may(0.05) else TEXTS), None
        if column.role == "client":
            name = self.draw.choice(["a", "b", "Ü b"])
            return name, name
        if column.role != "target" and self.may(0.2):
            return self.draw.choice(self.missing), MISSED
        if column.role == "target" and self.drop and self.may(0.2):
            return self.draw.choice(self.missing), UNLABELLED
        if not column.words:
            return self.number(column.unit)
        if column.role == "words" and self.may(0.1):
            known = [*column.words, *column.same]
            return self.draw.choice([w for w in WORDS if w not in known]), UNKNOWN
        if column.same and self.may(0.3):
            word = self.draw.choice(list(column.same))
            return self.one(_forms(word)), column.words.index(column.same[word])
        place = self.draw.randrange(len(column.words))
        word = column.words[place]
        if isinstance(word, str):
            return self.one(_forms(word)), place
        shown = f"{word}".replace(".", self.decimal)
        return self.draw.choice([shown, f"0{shown}", f"+{shown}"]), place

    def number(self, unit):
        whole = self.draw.choice(["0", "7", "42", "999", "1000", "98765", "1234567"])
        part = self.draw.choice(["", "", "5", "25", "000", "333"])
        sign, power = self.draw.choice(["", "", "-", "+"]), self.draw.choice(["", "", "e3", "E-2"])
        meant = float(f"{sign}{whole}.{part or 0}{power}")
        if self.thousands and len(whole) > 3 and self.may(0.7):
            whole = self.one(GROUPS[self.thousands]).join(_threes(whole))
        digits = f"{whole}{self.decimal + part if part else ''}{power}"
        if not unit or self.may(0.3):
            return f"{sign}{digits}", meant
        blank = self.one(["", *BLANKS])
        return self.draw.choice(
            [
                f"{sign}{digits}{blank}{unit}",
                f"{sign}{unit}{digits}",
                f"{unit}{blank}{sign}{digits}",
            ]
        ), meant

    def schema(self, columns):
        def number_or(column):
            kind = "categorical" if column.words else "numeric"
            known = {"categories": column.words, "same": column.same, "unit": column.unit}
            return {"kind": kind, "may_be_missing": True} | known

        (target,) = (c for c in columns if c.role == "target")
        answer = {"center": 0.0, "scale": 1.0, "unit": target.unit}
        if target.words:
            answer = {"classes": target.words, "same": target.same}
        if self.drop:
            answer["missing"] = "drop"
        other = next(mark for mark in "|;" if mark != self.delimiter)
        return {
            "target": {"name": target.name} | answer,
            "columns": {c.name: number_or(c) for c in columns if c.role in ("number", "words")},
            "client": next((c.name for c in columns if c.role == "client"), None),
            "delimiter": other if self.sep else self.delimiter,
            "decimal": self.decimal,
            "thousands": self.thousands,
            "encoding": "cp1252" if self.marked else self.encoding.removesuffix("-sig"),
            "missing": list(self.missing),
            "line_breaks": self.line_breaks,
        }

    def text(self, columns):
        """The file as a text, and the line where each of its rows begins."""
        parts, line, lines = [], 1 + self.sep, []
        if self.sep:
            parts.append(self.draw.choice(["sep=", "SEP="]) + self.delimiter + self.ends[0])
        for row in range(-1, self.rows):
            while row >= 0 and self.may(0.08):
                parts.append(self.draw.choice(["", "  "]) + self.draw.choice(self.ends))
                line += 1
            if row >= 0:
                lines.append(line)
            cells = [c.heading if row < 0 else c.cells[row] for c in columns]
            self.doubt(row, line, cells)
            written = [self.raw.get((row, i)) or self.quoted(cell) for i, cell in enumerate(cells)]
            text = self.delimiter.join(w for w in written if w is not DROPPED)
            text += self.beyond if row >= 0 and DROPPED not in written else ""
            parts.append(text + self.draw.choice(self.ends))
            line += text.count("\n") + 1
        if self.may(0.3):
            parts[-1] = parts[-1].rstrip("\r\n")
        return ("\ufeff" if self.encoding == "utf-16-le" else "") + "".join(parts), lines

    def doubt(self, row, line, cells):
        """Whether a text over two lines could be two rows: as many delimiters stand inside as outside."""
        inside = sum(cell.count(self.delimiter) for cell in cells if "\n" in cell)
        most = len(cells) - 1 if row >= 0 else 1
        first = next((i for i, c in enumerate(cells) if "\n" in c), None)
        if first is not None and inside >= most and not self.line_breaks:
            said = f"line {line}: a quotation mark is opened and closed in line {line + 1}"
            self.doubts.append((row, said))

    def quoted(self, cell):
        """A cell as the file has it: with marks where it needs them, blanks around here and there."""
        blanks = [" " * self.may(0.05) for _ in range(2)]
        if self.delimiter in cell or "\n" in cell or cell.startswith('"') or self.may(0.15):
            return blanks[0] + '"' + blanks[1] + cell.replace('"', '""') + '"'
        return cell.join(blanks)


def _forms(word):
    return [unicodedata.normalize(form, word) for form in ("NFC", "NFD")]


def _is_in(text, encoding):
    return text.encode(encoding, "ignore").decode(encoding) == text


def _threes(digits):
    first = len(digits) % 3 or 3
    return [digits[:first], *(digits[i : i + 3] for i in range(first, len(digits), 3))]
