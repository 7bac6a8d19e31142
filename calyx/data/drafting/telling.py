"""What a column is, by words in its name: the answer, a site, a person; and which columns number rows."""

import re

import numpy as np

from calyx.data.csv.numbers import numbers
from calyx.data.drafting.survey import Survey


def _among(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What people predict: surely, often, at times, perhaps.
SURELY = _among(
    "target label labels classification outcome y response diagnosis diagnose dependent ziel"
)
OFTEN = _among(
    """class klasse classe clase survived survival died dead death deceased mortality default defaulted
    churn churned fraud deny denied approved approval species variety vote voted weather price wage
    wages salary cost costs charges disease sick illness recurrence relapse readmitted attrition exited
    purchased bought subscribed converted spam sentiment quality progression mpg demand sales revenue
    cnt rentals bikers yield answer choice accident accidents
    claims strength result cancer malignant stroke diabetes deposit preis kosten prix ergebnis
    resultat résultat resultado verstorben gestorben krank"""
)
AT_TIMES = _among("score rating grade status event cens")
PERHAPS = _among("income category type count value")
# What people have or are, rather than what is predicted of them.
SELDOM = _among(
    """age sex gender race ethnicity ethn region country city state island year month mnth day weekday
    weekdays season hour hr date time holiday"""
)
OF_NUMBERS = _among("score rating quality count age rings marks points years number amount")
OF_CLASSES = _among("class label labels category species type digit variety")
# How long until something, and what happens then.
TIMES = _among("t time futime followup survtime survival duration days months tte")
EVENTS = _among("cens event status death died dead relapse recurrence deceased")
# Whose a row is; and where that may be.
SITES = _among(
    """site sites clinic hospital center centre client institution institute facility practice branch
    store shop bank ward lab laboratory"""
)
PLACES = _among("region country state province city district county island residence location")
# Who or which row it is: among a name's words, or all of them.
IDS = _among(
    """id ids uuid guid mrn ssn pid patientid subjectid customerid userid caseid studyid
    recordid rownames rowname rownum rowid"""
)
WHOLE_IDS = IDS | _among(
    """nr no number patient subject person index idx unnamed sample row case record serial observation obs
    line"""
)
# Cells that tell nothing of anybody, however few rows have them.
SHORT = _among(
    """0 1 yes no y n true false t f m w male female man woman ja nein j oui non si na on off pos neg
    positive negative"""
)


def tokens(name: str) -> list[str]:
    """The words of a name: SalePrice, sale_price and "Sale Price" have two."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", apart.casefold())


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
