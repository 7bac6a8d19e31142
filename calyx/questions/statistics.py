"""statistics: measure the rows, for the audit and for what a preprocessing is fitted on; of no model."""

from calyx.config.section import parse
from calyx.privacy.section import PrivacyConfig
from calyx.questions.question import Question
from calyx.questions.segments import Inquiry, Segments, count_alike
from calyx.run.order import Terms
from calyx.survey.blocks import ALL, TRAIN, StatisticsConfig, Survey, fold_name
from calyx.tasks.task import Task


def survey_of(task: Task, terms: Terms, privacy: PrivacyConfig) -> Survey:
    """What the clients of a run measure of their rows: all of them, and those that models see.

    The folds are in the same vector, since a client gives statistics once. How many rows the clients
    train on is asked where their weights follow from it.
    """
    is_weighed = task.w_max is None and privacy.weighting == "examples"
    bins = parse(StatisticsConfig, terms.statistics, "statistics").bins
    return Survey(task.schema, bins, (ALL, TRAIN, *map(fold_name, range(terms.folds))), is_weighed)


def segments(inquiry: Inquiry) -> Segments:
    """Counts of every block of the survey."""
    survey = survey_of(inquiry.contents.task, inquiry.terms, inquiry.privacy)
    return Segments(counts=count_alike(inquiry.privacy, survey.counts()))


QUESTION = Question(
    kind="statistics",
    message_type="query.statistics",
    shown="auditing the data",
    noun="audit",
    model="none",
    part="all",
    answer="measure",
    counted="versions",
    segments=segments,
)
