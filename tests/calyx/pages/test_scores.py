"""How a report writes scores and errors: each in its unit, of the models that were chosen, none cut."""

import re

import pytest
import yaml
from markupsafe import Markup
from support.run_folders import make, regression

from calyx.files.plain import append_lines, read_lines
from calyx.pages.charts import LEFT, R2_FLOOR, Axes, Series, line_chart
from calyx.pages.folder import read_run
from calyx.pages.page import render
from calyx.pages.svg import Caption


def page_of(folder) -> str:
    return render(read_run(folder)).decode()


def head_of(page: str) -> dict[str, str]:
    pairs = re.findall(r"<dt>(.*?)</dt><dd[^>]*><bdi>(.*?)</bdi>", page)
    return {name: value.replace("&#39;", "'") for name, value in pairs}


def test_an_r2_is_no_percentage_and_stands_beside_its_error(tmp_path):
    head = head_of(page_of(regression(tmp_path / "run", -0.0861, 96.5)))
    assert head["Test R²"] == "-0.086"
    assert head["Test RMSE"] == "96.50"
    assert "accuracy" not in " ".join(head)


def test_an_r2_far_below_zero_is_cut_in_the_drawing_and_that_is_said(tmp_path):
    page = page_of(regression(tmp_path / "run", -20208.7, 9.0))
    assert "4 values are below -1 and drawn there." in page  # one a round
    assert "-20208.700" in page


def own_models(folder, monitor):
    """A run whose common model is best in round 1, and the clients' own ones in round 3."""
    made = make(folder, 0.8, rounds=3, finished=False)
    rows = [
        row
        | {"val_loss": loss, "val_personal_loss": own, "val_personal_accuracy": 1 - own}
        | {"best_round": 3}
        for row, loss, own in zip(
            read_lines(made / "rounds.jsonl"), (0.3, 0.4, 0.5), (0.25, 0.2, 0.125), strict=True
        )
    ]
    (made / "rounds.jsonl").unlink()
    append_lines(made / "rounds.jsonl", rows)
    config = yaml.safe_load((made / "config.yaml").read_text())
    config["stopping"] = {"monitor": monitor, "mode": "min", "patience": 10}
    (made / "config.yaml").write_text(yaml.safe_dump(config))
    return made


def test_the_best_round_of_own_models_stands_beside_their_figure(tmp_path):
    page = page_of(own_models(tmp_path / "run", "val_personal_loss"))
    head = head_of(page)
    assert head["Best round"] == "3"
    assert head["Its validation loss, own models"] == "0.1250"
    assert head["Its validation loss"] == "0.5000"  # of the common model, which is not why
    assert "The best round is that of the own models." in page
    assert page.count(">own models</text>") == 2  # a line against rounds, and one against bytes
    assert ">87.5 % own</text>" in page.replace("\u202f", " ")
    assert "Validation loss, own models" in page


def test_losses_are_means_over_clients_where_each_client_weighs_the_same(tmp_path):
    privacy = {"name": "none", "weighting": "equal"}
    assert "Mean over clients; lower is better." in page_of(
        make(tmp_path / "equal", 0.8, privacy=privacy)
    )
    assert "Mean over rows; lower is better." in page_of(make(tmp_path / "rows", 0.8))


@pytest.mark.parametrize(
    ("values", "power", "labels"),
    [
        ([4e5, 1.2e6], "10⁶", ["0.4", "0.6", "0.8", "1.0", "1.2"]),
        ([2e-8, 1.1e-7], "10⁻⁷", ["0.2", "0.4", "0.6", "0.8", "1.0", "1.2"]),
        ([0.0, 2.2e33], "10³³", ["0", "0.5", "1.0", "1.5", "2.0", "2.5"]),
        ([10.0, 20.0], None, ["10", "12", "14", "16", "18", "20"]),
    ],
)
def test_the_ticks_of_wide_numbers_have_room(values, power, labels):
    points = list(enumerate(values, start=1))
    drawing = line_chart(Caption("key", "t", "d"), Axes("round"), [Series("a", "b", points)])
    across = re.findall(r'<text x="50" y="[^"]*" class="tick end">([^<]*)<', drawing)
    powers = [label.replace("\u202f", " ") for label in across if "×" in label]
    assert powers == ([] if power is None else [f"× {power}"])
    assert sorted(label for label in across if "×" not in label) == sorted(labels)
    assert LEFT - 8 == 50


def test_r2_from_the_floor_to_one_is_drawn_as_it_is():
    points = [(1, R2_FLOOR / 2), (2, 0.5)]
    drawing = line_chart(
        Caption("k", "t", "d"), Axes("round", y_r2=True), [Series("a", "b", points)]
    )
    assert isinstance(drawing, Markup)
    assert ">-0.6<" in drawing
    assert "%" not in drawing.split("</title>")[-1]


def test_moved_rows_stand_beside_the_score_and_are_drawn_where_they_were_asked_for(tmp_path):
    folder = make(tmp_path / "run", 0.9, figures={"test_robust_accuracy": 0.5})
    rows = list(read_lines(folder / "rounds.jsonl"))
    for row, moved in zip(rows[1::2], (0.25, 0.375), strict=True):  # rounds 2 and 4
        row["val_robust_accuracy"] = moved
    (folder / "rounds.jsonl").unlink()
    append_lines(folder / "rounds.jsonl", rows)
    page = page_of(folder)
    assert head_of(page)["Test accuracy, moved rows"] == "50.0\u202f%"
    assert "On moved rows it ends at 37.5\u202f%." in page
    assert "moved" not in page_of(make(tmp_path / "plain", 0.9))
