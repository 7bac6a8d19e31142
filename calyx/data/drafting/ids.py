"""Columns that name rows or people, by their names or by their values."""

import numpy as np

from calyx.data.csv.numbers import numbers
from calyx.data.drafting.survey import Survey
from calyx.data.drafting.telling import IDS, WHOLE_IDS, tokens

FEW = 20  # words that a column of ids has more of
MOST = 0.8  # share of rows from one to the next of which a counter rises by one


def is_id(survey: Survey, name: str) -> bool:
    """Whether a column names rows or people: by its name, or since it counts the rows of each file."""
    column = survey.columns[name]
    words = [word for word in tokens(name) if not word.isdigit()]
    if set(words) & IDS or (words and set(words) <= WHOLE_IDS):
        return len(column.words) > FEW
    return column.is_whole and len(column.words) > FEW and _counts_up(survey, name)


def _counts_up(survey: Survey, name: str) -> bool:
    """Whether the numbers of each file rise from row to row, and mostly by one."""
    values = numbers(survey.sample.cells[name], survey.dialect)
    files = np.array(survey.sample.files)
    rises = np.diff(values)[np.diff(files) == 0]
    by_one = (rises == survey.sample.step).mean() if len(rises) >= FEW // 2 else 0
    return bool(by_one >= MOST and (rises > 0).all())
