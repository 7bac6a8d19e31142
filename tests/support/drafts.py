"""Small folders of five sites, and what is drafted of them."""

import numpy as np
import yaml

from calyx.data.drafting.writing import draft

HEAD = "age,sex,sick\n"
SITES = 5


def rows(seed, sep=",", number="{:.1f}"):
    """Thirty rows of an age, a sex and an illness."""
    draw = np.random.default_rng(seed)
    cells = [
        [number.format(draw.normal(50, 9)), draw.choice(["f", "m"]), draw.choice(["no", "yes"])]
        for _ in range(30)
    ]
    return "".join(sep.join(row) + "\n" for row in cells)


def write(folder, **changed):
    """Five sites' files, some of them as they are given; the folder."""
    folder.mkdir(exist_ok=True)
    for name in [f"s{i}" for i in range(SITES)] + list(changed):
        content = changed.get(name, HEAD + rows(int(name[1:]) if name[1:].isdigit() else 9))
        content = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.csv").write_bytes(content)
    return folder


def table(folder, names, columns):
    """One column a name, dealt to five files of as many rows; the folder."""
    folder.mkdir(exist_ok=True)
    lines = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    size = len(lines) // SITES
    for i in range(SITES):
        part = [",".join(names), *lines[i * size : (i + 1) * size]]
        (folder / f"s{i}.csv").write_text("\n".join(part) + "\n")
    return folder


def drafted(folder, **named):
    """The draft's YAML as a value, and its text."""
    text = draft(folder, **named).text
    return yaml.safe_load(text), text
