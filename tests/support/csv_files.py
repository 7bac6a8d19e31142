"""A folder of CSV files that a user might have: seven clients, a number, a category, missing cells."""

import numpy as np
import yaml

from calyx.composing.compose import compose, resolve
from calyx.tasks.csv import Csv

CLASSES = {"name": "sick", "classes": ["no", "yes"]}
NUMBER = {"name": "cost", "center": 100, "scale": 50}
COLUMNS = {
    "age": {"kind": "numeric", "low": 0, "high": 120},
    "pressure": {"kind": "numeric", "may_be_missing": True},
    "smoker": {"kind": "categorical", "categories": ["no", "yes"]},
}
HEADER = "id,age,pressure,smoker,sick,cost"


def write_folder(folder, clients=7, rows=60, **schema):
    """One file a client and schema.yaml, whose keys may be given; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for client in range(clients):
        lines = [HEADER, *(line(draw, i) for i in range(rows + 5 * client))]
        (folder / f"site-{client}.csv").write_text("\n".join(lines) + "\n")
    write_schema(folder, **schema)
    return folder


def write_exports(folder, clients=6, rows=70):
    """The same rows as an office program exports them, a file a site; the folder.

    Semicolons and decimal commas, units beside numbers, days, some rows without a label, and one
    site that writes Yes and No.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for client in range(clients):
        lines = ["id;admitted;age;pressure;oxygen;smoker;bill;ward;sick"]
        for i in range(rows):
            _, age, pressure, smoker, sick, _ = line(draw, i).split(",")
            day, oxygen = (
                f"{draw.integers(1, 29):02}.{draw.integers(1, 13):02}.2024",
                draw.integers(88, 100),
            )
            pressure, bill = pressure.replace(".", ","), f"{draw.uniform(200, 9000):,.2f} €"
            bill = bill.translate(str.maketrans(",.", ".,"))
            sick = "" if draw.random() < 0.03 else sick.title() if client == 3 else sick
            cells = [
                1000 * client + i,
                day,
                age,
                pressure,
                f"{oxygen} %",
                smoker,
                bill,
                client,
                sick,
            ]
            lines.append(";".join(map(str, cells)))
        (folder / f"site-{client}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return folder


def write_schema(folder, **schema):
    """schema.yaml of a classification, with changes."""
    values = {"target": CLASSES, "columns": COLUMNS} | schema
    (folder / "schema.yaml").write_text(yaml.safe_dump(values))


def line(draw, number):
    age, pressure = round(draw.normal(50, 12)), round(draw.normal(120, 15), 1)
    smoker = draw.choice(["yes", "no"])
    risk = 0.05 * (age - 50) + 0.03 * (pressure - 120) + (smoker == "yes") + draw.normal(0, 0.5)
    shown = "?" if draw.random() < 0.05 else pressure
    sick = "yes" if risk > 0.5 else "no"
    return f"{number},{age},{shown},{smoker},{sick},{100 + 40 * risk:.1f}"


def task_of(folder, *overrides):
    """The task that `calyx simulate task=csv` makes of a folder."""
    config = resolve(compose(["task=csv", f"task.data_dir={folder}", *overrides]))
    return Csv({k: v for k, v in config["task"].items() if k not in ("data_dir", "faults")})
