"""The answer to an order for statistics: counts over each client's rows, without a model.

Small cells are hidden here, and what the site's policy does not list is withheld.
"""

from collections.abc import Sequence
from dataclasses import asdict

from calyx.data.schema import Table
from calyx.inspection.local import local_findings
from calyx.questions.statistics import survey_of
from calyx.survey.blocks import ALL, ITEMS, TRAIN, fold_name
from calyx.survey.measuring import measure as measure_samples
from calyx.vector.contribution import Contribution
from client import journal
from client.config import Site
from client.gate.assignment import Assignment
from client.learning.contribution import Answer
from client.rows.data import Rows, read_rows
from client.rows.versions import keep_version, last_version


def measure(assignments: Sequence[Assignment]) -> list[Answer]:
    """Count each client's rows. Raises ClientFailure where they cannot be dealt into folds."""
    return [_measure(assignment) for assignment in assignments]


def _measure(assignment: Assignment) -> Answer:
    site, rows, terms = assignment.site, assignment.rows, assignment.order.terms
    if assignment.sections.statistics.thorough or site.is_deployed:
        _look(rows, site)
    survey = survey_of(rows.task, terms, assignment.sections.privacy)
    samples: dict[str, Table] = {ALL: rows.table, TRAIN: rows.parts["train"]}
    for fold in range(len(survey.samples) - len(samples)):
        parts = read_rows(terms, site.name, site.data_dir, fold).parts
        samples[fold_name(fold)] = parts["train"]
    allowed = ITEMS if site.policy.statistics is None else site.policy.statistics
    counts = measure_samples(survey, samples, site.policy.min_cell, allowed)
    journal.write(assignment.question.kind, samples=list(survey.samples), rows=len(rows.table))
    return (Contribution(1, {}, {}, counts),)


def _look(rows: Rows, site: Site) -> None:
    """Write into the journal what the checks before a training do not look for.

    On a site a new version of the rows is also compared with the last one.
    """
    folder = site.state_dir
    last = None if folder is None else last_version(folder, rows.task.name)
    is_new = last is None or last.version != rows.version
    previous = last if is_new else None
    known = {(finding.check, finding.column) for finding in rows.findings}
    for finding in local_findings(rows.table, rows.task.schema, previous):
        if (finding.check, finding.column) not in known:
            journal.write("finding", **asdict(finding))
    if folder is not None and is_new:
        keep_version(folder, rows)
