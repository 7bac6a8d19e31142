"""What a report says of classes: the figures are scikit-learn's, the sentences those of a person."""

import json
import re

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score
from support.run_folders import make, regression

from calyx.pages.class_charts import share_level
from calyx.pages.class_figures import class_section
from calyx.pages.class_remarks import class_remark
from calyx.pages.classes import classes_of
from calyx.pages.conclusions import conclude, terminal_lines
from calyx.pages.folder import read_run
from calyx.pages.page import write_report

# The credit default table: 10,000 rows, of which 2,000 test; 64 of them default.
DEFAULT = [[1928, 8], [41, 23]]


def folder(tmp_path, matrix, classes, **figures):
    """A finished run whose test has this confusion matrix."""
    counts = np.array(matrix)
    found = {
        "test_confusion": matrix,
        "classes": classes,
        "test_accuracy": float(np.trace(counts) / counts.sum()),
        "test_majority": float(counts.sum(axis=1).max() / counts.sum()),
        "models": "common",
    }
    return make(tmp_path / "run", 0.9, figures=found | figures)


def run_of(tmp_path, matrix, classes, **figures):
    return read_run(folder(tmp_path, matrix, classes, **figures))


def answers_of(matrix):
    """The rows of a matrix one by one: true classes and what was said."""
    cells = [(i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) for _ in range(n)]
    return np.array(cells).T


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize("seed", range(6))
def test_recall_precision_and_balanced_accuracy_are_those_of_scikit_learn(tmp_path, seed):
    rng = np.random.default_rng(seed)
    num = int(rng.integers(2, 12))
    matrix = rng.integers(0, 9, (num, num)) * (rng.random((num, num)) < 0.7)
    if num > 2:  # a class without rows, and one that is never said
        matrix[1], matrix[:, 2] = 0, 0
    known = classes_of(run_of(tmp_path, matrix.tolist(), [f"c{i}" for i in range(num)]).summary)
    true, said = answers_of(matrix)
    labels = {"labels": range(num), "average": None, "zero_division": np.nan}
    nan = [(np.nan if x is None else x) for x in (line.recall for line in known.lines)]
    np.testing.assert_allclose(nan, recall_score(true, said, **labels))
    nan = [(np.nan if x is None else x) for x in (line.precision for line in known.lines)]
    np.testing.assert_allclose(nan, precision_score(true, said, **labels))
    assert known.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, said))


def test_an_accuracy_that_unequal_classes_make_is_put_beside_what_knowing_nothing_gets(tmp_path):
    run = run_of(tmp_path, DEFAULT, ["No", "Yes"])
    remark = class_remark(run)
    # 1951 / 2000, 1936 / 2000, 23 / 64, and (1928 / 1936 + 23 / 64) / 2
    assert remark.seen == (
        "The classes are of very unequal size: the accuracy is 97.5 %, but always saying No has "
        "96.8 %. The model finds 35.9\u202f% of Yes (23 of 64 rows); the balanced accuracy is "
        "67.8\u202f%."
    )
    lines = terminal_lines(conclude(run), run.path)
    assert (
        "classes accuracy 97.5 %, but always saying No has 96.8 %; 35.9 % of Yes is found"
    ) in lines


def test_a_model_that_always_says_one_class_is_said_in_plain_words(tmp_path):
    remark = class_remark(run_of(tmp_path / "a", [[583, 0], [18, 0]], ["No", "Yes"]))
    assert remark.seen == (
        "The model says No, the commonest class, of every row: that alone has an accuracy of "
        "97.0\u202f%, and none of the 18 rows of Yes is found. It has learnt nothing that tells the "
        "classes apart."
    )
    rare = class_remark(run_of(tmp_path / "b", [[0, 0, 9], [0, 0, 7], [0, 0, 1]], list("abc")))
    assert (
        rare.brief == "The model says c of every row: none of the 16 rows of other classes is found"
    )


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[40, 2], [3, 45]], None),  # about as many rows each
        ([[9, 0], [1, 0]], "says a, the commonest class, of every row"),
        ([[60, 10], [20, 10]], "An accuracy of 70.0 % is no better than always saying a"),
        ([[50, 20], [15, 15]], "An accuracy of 65.0 % is worse than always saying a (70.0 %)"),
        ([[10, 0], [0, 0]], "All test rows are of one class, a"),
        ([[90, 1, 0], [0, 80, 0], [2, 0, 1]], "The classes have 3 to 91 test rows"),
    ],
)
def test_what_classes_hide_is_said_and_nothing_where_they_hide_nothing(tmp_path, matrix, said):
    remark = class_remark(run_of(tmp_path, matrix, list("abc")[: len(matrix)]))
    assert (remark is None) if said is None else (said in remark.seen)


def test_without_a_matrix_an_accuracy_of_knowing_nothing_is_still_said(tmp_path):
    why = "rows are not counted with privacy.weighting=equal"
    missing = {"test_confusion": None, "absent": {"test_confusion": why}}
    run = run_of(tmp_path, DEFAULT, ["No", "Yes"], **missing, test_accuracy=0.968)
    assert "is no better than always naming the commonest class (96.8 %)" in class_remark(run).seen
    assert class_section(run).why == why
    assert why in write_report(run.path).read_text()


def test_runs_of_older_code_and_damaged_matrices_have_no_figures_of_classes(tmp_path):
    old = read_run(make(tmp_path / "old", 0.9))
    ragged = run_of(tmp_path, DEFAULT, ["a", "b"], test_confusion=[[1, 2], [3]])
    for run in (old, ragged):
        assert class_remark(run) is None
        assert "does not say which class was taken for which" in class_section(run).why
        assert "Balanced accuracy" not in write_report(run.path).read_text()
    assert class_section(read_run(regression(tmp_path / "r", 0.5, 1.0))) is None


@pytest.mark.parametrize(
    ("models", "whose"),
    [
        ("common", "The model on everybody&#39;s test rows."),
        ("own", "The clients&#39; own models, each on its own test rows."),
        (
            "both",
            "The common model on everybody&#39;s test rows, and not the clients&#39; own ones.",
        ),
    ],
)
def test_the_page_says_of_which_models_and_rows_its_matrix_is(tmp_path, models, whose):
    page = write_report(folder(tmp_path, DEFAULT, ["No", "Yes"], models=models)).read_text()
    assert whose in page
    cells = re.findall(r"<td class=\"num\">([^<]*)</td>", page[page.index('id="classes"') :])[:10]
    no, yes = cells[:5], cells[5:]
    assert no == ["1936", "1969", "1928", "99.6\u202f%", "97.9\u202f%"]  # 1928 / 1936, 1928 / 1969
    assert yes == ["64", "31", "23", "35.9\u202f%", "74.2\u202f%"]  # 23 / 64, 23 / 31


@pytest.mark.parametrize("num", [2, 10, 21, 65, 300])
def test_a_matrix_of_many_classes_is_drawn_within_the_page_and_what_is_left_out_is_said(
    tmp_path, num
):
    matrix = (np.eye(num, dtype=int) * 7 + 1).tolist()
    page = write_report(folder(tmp_path, matrix, [f"Species {i}" for i in range(num)])).read_text()
    drawn = page[page.index('aria-labelledby="confusion-title') - 200 :].split("</svg>")[0]
    width = float(re.search(r"width=\"([0-9.]+)\"", drawn)[1])
    assert width <= (520 if num <= 20 else 1076)  # of a half and of a whole card
    assert ("The 66 most frequent of 300 classes." in page) == (num == 300)
    assert ("200 of 300 classes" in page) == (num == 300)
    assert f"{num} of {num} classes" in page or num == 300


def test_names_of_classes_are_escaped_and_reach_no_terminal_raw(tmp_path):
    evil = "<b>\x1b[2J{resume}"
    run = run_of(tmp_path, [[583, 0], [18, 0]], ["No", evil])
    page = write_report(run.path).read_text()
    assert "<b>\ufffd" not in page
    assert "&lt;b&gt;" in page
    said = "\n".join(terminal_lines(conclude(run), run.path))
    assert "\x1b" not in said
    assert "rows of <b>?[2J{resume} is found" in said
    assert json.loads((run.path / "summary.json").read_text())["classes"][1] == evil


def test_the_colour_of_a_cell_is_its_share_of_the_true_class():
    assert [share_level(n, 100) for n in (0, 1, 2, 50, 100)] == [0, 1, 2, 5, 8]
    assert share_level(3, 0) == 0
