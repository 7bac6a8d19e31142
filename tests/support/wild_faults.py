"""One fault in a wild table: in a known row, with what a refusal must say. See wild_tables."""

NO_NUMBERS = ["x", "1_0", "0x1F", "inf", "nan", "-Infinity", "1e999", "5%", "$5", "--1", "1e", "e5"]
NO_NUMBERS += ["1..2", "1,,2", "1 2 3", "1,00,000", "12.34.56", "1 2345", "1.234,5.6", "+", "."]
NO_NUMBERS += ["\N{ARABIC-INDIC DIGIT THREE}", "\N{FULLWIDTH DIGIT FIVE}", "\N{MINUS SIGN}5"]
DROPPED = object()  # a cell that is left out
BAD_BYTE = "\ue000"  # stands for the byte 0xff


def _place(columns, role):
    return next((i for i, column in enumerate(columns) if column.role == role), None)


def _no_number(writer, columns, row):
    place = _place(columns, "target" if writer.is_number and writer.may(0.3) else "number")
    if place is None:
        return
    unit = columns[place].unit
    wrong = [n for n in NO_NUMBERS if n not in writer.missing and not (unit and unit in n)]
    wrong += [f"1{mark}234" for mark in ",." if mark not in (writer.decimal, writer.thousands)]
    columns[place].cells[row] = writer.one(wrong)
    writer.fault = (f"line {{line}}, column {columns[place].name}: ",)


def _no_class(writer, columns, row):
    place = _place(columns, "target")
    if not writer.is_number:
        columns[place].cells[row] = writer.draw.choice(
            ["perhaps", "yes no", *[""] * (not writer.drop)]
        )
        writer.fault = ("line {line}: the target ",)


def _nobody(writer, columns, row):
    place = _place(columns, "client")
    if place is not None:
        columns[place].cells[row] = writer.draw.choice(["", *writer.missing])
        writer.fault = ("line {line}: the client column ",)


def _short(writer, columns, row):
    writer.raw[row, len(columns) - 1] = DROPPED
    writer.fault = (f"line {{line}}: {len(columns) - 1} cells",)


def _long(writer, columns, row):
    """A delimiter too many: it moves all cells of the row, and an empty last one out of the table."""
    if writer.rows > 1 or columns[-1].cells[row].strip():
        writer.raw[row, 0] = f"z{writer.delimiter}z"
        writer.fault = (f"line {{line}}: {len(columns) + 1 + bool(writer.beyond)} cells",)


def _stray(writer, columns, row):
    """A mark that is opened in one row and closed in a later one, or nowhere."""
    place = _place(columns, "unread")
    writer.raw[row, place] = '"12 cm cyst'
    if row + 1 < writer.rows and writer.may(0.7):
        closings = ['6" wide'] if writer.line_breaks else ['6"', '6" wide', '6"" and 7"']
        writer.raw[row + 1, place] = writer.draw.choice(closings)
    writer.fault = ("line {line}: ",)


def _goes_on(writer, columns, row):
    place = _place(columns, "unread")
    writer.raw[row, place] = '"12" cyst'
    name = columns[place].heading
    writer.fault = (
        "line {line}: a text goes on after its closing",
        f"(column {name})" if name else "",
    )


def _bad_byte(writer, columns, row):
    if writer.encoding == "utf-8":
        writer.raw[row, _place(columns, "unread")] = BAD_BYTE
        writer.fault = ("line {line} is not utf-8 (byte 0xff)",)


def _zero_byte(writer, columns, row):
    writer.raw[row, _place(columns, "unread")] = "a\0b"
    writer.fault = ("line {line}: a zero byte",)


ROW_FAULTS = (_short, _long, _stray, _goes_on, _bad_byte, _zero_byte)
FAULTS = (_no_number, _no_number, _no_class, _nobody, *ROW_FAULTS)


def spoil_header(writer, columns):
    wanted = next(c for c in columns if c.role in ("number", "words", "target"))
    if writer.may(0.5):
        wanted.heading = "renamed"
        writer.fault = ("has no column ",)
    else:
        columns[_place(columns, "unread")].heading = wanted.name
        writer.fault = ("twice in its first line",)
