"""A draft of all sites' files: its target, what is no input, what it asks about, what it refuses."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.drafts import HEAD, SITES, drafted, rows, table, write

from calyx.data.drafting.ranges import typical


def test_ranges_and_words_are_those_of_all_sites(tmp_path):
    old = HEAD + "".join(f"{90 + i / 10},x,yes\n" for i in range(9))
    found, _ = drafted(write(tmp_path, s3=old))
    assert found["target"] == {"name": "sick", "classes": ["no", "yes"]}
    assert found["columns"]["age"]["high"] >= 90.8
    assert found["columns"]["age"]["low"] == 0
    assert found["columns"]["sex"]["categories"] == ["f", "m", "x"]


NAMES = [
    (["species", "size", "when"], "species"),
    (["mpg", "weight", "name2"], "mpg"),
    (["x", "SalePrice", "z"], "SalePrice"),
    (["x", "y", "z"], "z"),  # places in space: the last
    (["a", "y", "b"], "y"),
    (["survived", "age", "sex"], "survived"),
    (["age", "sex", "region"], "region"),
    (["vote", "income", "age"], "vote"),
    (["class", "age", "survived"], "survived"),
    (["Kosten", "Alter", "Ergebnis"], "Ergebnis"),
]


@pytest.mark.parametrize(("names", "target"), NAMES)
def test_the_target_is_guessed_by_its_name_and_said_to_be_a_guess(tmp_path, names, target):
    draw = np.random.default_rng(0)
    columns = [draw.choice(["p", "q"], 50), draw.normal(size=50), draw.choice(["u", "v"], 50)]
    found, text = drafted(table(tmp_path, names, columns))
    assert found["target"]["name"] == target
    assert "# a guess by its " in text
    assert "a guess" not in drafted(tmp_path, target=names[0])[1]


@pytest.mark.parametrize(
    ("name", "numbers", "kind", "other"),
    [
        ("vocabulary", np.random.default_rng(1).binomial(10, 0.6, 400), "center", "classes: ["),
        ("digit", np.arange(400) % 10, "classes", "center: 4.5"),
        ("wards", np.arange(400) % 3, "classes", "center: "),
        ("sick", np.arange(400) % 2, "classes", None),
    ],
)
def test_whole_numbers_are_classes_or_amounts_and_the_other_way_is_said(
    tmp_path, name, numbers, kind, other
):
    draw = np.random.default_rng(0)
    found, text = drafted(table(tmp_path, ["x", name], [draw.normal(size=400), numbers]))
    assert kind in found["target"]
    said = [line for line in text.splitlines() if "# If " in line]
    assert [other in line for line in said] == ([True] if other else [])


def useless(size=200):
    """Columns that are no inputs, each with the words by which that is said."""
    draw = np.random.default_rng(0)
    sick = draw.integers(0, 2, size)
    words = np.where(sick == 1, "ill", "well")
    site = np.repeat(np.arange(SITES), size // SITES)
    columns = {
        "patient_id": (draw.permutation(size) + 1000, "names rows or people"),
        "counter": (np.arange(size), "names rows or people"),
        "born": ([f"{i % 28 + 1}.3.1980" for i in range(size)], "dates or times"),
        "remark": ([f"remark {i}" for i in range(size)], "text with many values"),
        "currency": (["EUR"] * size, "one value in all rows"),
        "clinic": ([f"north {i}" for i in site], "it tells the site"),
        "coded": (np.where(sick == 1, "C1", "C0"), "says the same as sick"),
        "cause": (
            np.where((sick == 1) & (site > 0), draw.choice(["p", "q"], size), ""),
            "sick is ill",
        ),
        "marker": (draw.normal(size=size) + 20 * sick, "tell the classes of sick apart"),
        "blank": ([""] * size, "no value in any row"),
        "mixed": (["5 kg", "5 lb"] * (size // 2), "several units (kg and lb)"),
        "words": (
            [f"{i % 30}" if i % 9 else "unknown" for i in range(size)],
            "'unknown' among them",
        ),
        "odd": (
            [f"{i % 60}.5" if i % 9 else f"x{i}" for i in range(size)],
            "numbers with text among them",
        ),
    }
    rare = [f"seen by {i}" if i % 50 == 7 else draw.choice(["a", "b"]) for i in range(size)]
    kept = {"age": draw.integers(18, 90, size), "rare": rare}
    return kept, columns, words


def test_what_is_no_input_is_left_out_and_said_why(tmp_path):
    kept, columns, sick = useless()
    values = [*kept.values(), *(of for of, _ in columns.values()), sick]
    found, text = drafted(table(tmp_path, [*kept, *columns, "sick"], values))
    assert list(found["columns"]) == list(kept)
    assert found["columns"]["rare"]["categories"] == ["a", "b"]
    assert "# 4 words of fewer than 5 rows: not listed" in text
    for name, (_, reason) in columns.items():
        assert re.search(rf'# "{name}": .*{re.escape(reason)}.*; left out', text), name


def test_copies_and_parts_of_a_number_are_answers_and_half_of_it_is_none(tmp_path):
    draw = np.random.default_rng(0)
    casual, members, noise = draw.integers(1, 99, (3, 200)) * 1.5
    count = casual + members
    names = ["casual", "members", "noise", "logged", "count"]
    values = [casual, members, noise, np.log(count), count]
    found, text = drafted(table(tmp_path, names, values))
    assert found["target"]["name"] == "count"
    assert list(found["columns"]) == ["noise"]
    assert '# "logged": the same as count on another scale' in text
    assert "count can be reckoned from casual and members" in text
    del names[0], values[0]
    assert "members" in drafted(table(tmp_path, names, values))[0]["columns"]


def test_an_answer_that_is_the_only_input_is_kept_and_doubted(tmp_path):
    cost = np.random.default_rng(0).uniform(1, 9, 100)
    found, text = drafted(table(tmp_path, ["tax", "cost"], [cost * 0.19, cost]))
    assert list(found["columns"]) == ["tax"]
    assert "# Leave it out, if you have others: the same as cost on another scale" in text


def test_spellings_of_one_word_are_taken_for_one_and_asked_about(tmp_path):
    loud = (HEAD + rows(3)).replace("yes", "YES").replace(",f,", ",F ,")
    found, text = drafted(write(tmp_path, s3=loud))
    assert found["target"] == {"name": "sick", "classes": ["no", "yes"], "same": {"YES": "yes"}}
    assert found["columns"]["sex"]["same"] == {"F": "f"}
    assert text.count("are these the same?") == 2
    both = (HEAD + rows(3)).replace(",m,", ",F,")  # two letters side by side in one file: two codes
    assert "same" not in drafted(write(tmp_path, s3=both))[0]["columns"]["sex"]


def test_rows_without_a_label_are_dropped_and_counted(tmp_path):
    found, text = drafted(write(tmp_path, s3=HEAD + rows(3).replace("yes", "")))
    assert found["target"]["missing"] == "drop"
    count = rows(3).count("yes")
    assert f"# {count} rows have no label, and are left out" in text


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=25, max_size=60))
@settings(max_examples=60)
def test_nothing_of_a_single_row_stands_in_a_draft(tmp_path_factory, cells):
    cells = cells[: len(cells) // SITES * SITES]
    names = ["size", "word", "score", "sick", "free"]
    size, word = [a / 7 - 20 for a, _ in cells], [f"word{b}" for _, b in cells]
    sick = ["no", "yes"] * (len(cells) // 2 + 1)
    columns = [size, word, [a % 17 for a, _ in cells], sick[: len(cells)]]
    columns.append([i * 7 % 13 + 0.5 for i in range(len(cells))])
    folder = table(tmp_path_factory.mktemp("rows"), names, columns)
    found, text = drafted(folder, target="sick")
    for name, column in zip(names[:3], columns, strict=False):
        of = found["columns"].get(name, {})
        once = {value for value in column if column.count(value) < 5}
        shown = {*of.get("categories", []), of.get("low"), of.get("high")} - {0, 1}
        assert not once & shown, name
        assert not any(str(value) in text for value in once if isinstance(value, str))


def test_one_row_more_tells_nothing_of_its_target():
    y = np.random.default_rng(0).normal(170, 9, 180)
    drafts = {typical(np.append(y, more)) for more in np.linspace(140, 200, 61)}
    # 61 rows that could have come, and no more drafts than the ends of one step each.
    assert len(drafts) <= 3
    assert all(
        abs(float(center) - 170) < 3 and abs(float(scale) - 9) < 2 for center, scale in drafts
    )


def test_a_word_or_a_place_of_one_row_stands_in_no_draft(tmp_path):
    draw = np.random.default_rng(0)
    cells = {name: [f"{value:.2f}" for value in draw.uniform(1, 99, 200)] for name in "abcd"}
    cells["a"][7] += " Alice"  # no unit
    cells["b"][7:9] = ["5 Alice", "5 Bob"]
    cells["c"][7] = "see doctor"
    cells["d"] = [f"{cell} units" for cell in cells["d"]]
    sick = draw.choice(["no", "yes"], 200)
    found, text = drafted(table(tmp_path, [*cells, "sick"], [*cells.values(), sick]))
    assert list(found["columns"]) == ["d"]
    assert found["columns"]["d"]["unit"] == "units"
    assert not [told for told in ("Alice", "Bob", "doctor", "line 9") if told in text]
