"""Statistics of this client's rows: check the order → read the rows → count → one vector.

No model is needed. Small cells are hidden here, and what the site's policy does not list is withheld.
"""

from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from flwr.app import Context, Message, RecordDict

from calyx.config.section import parse
from calyx.data.schema import Table
from calyx.errors import WireError
from calyx.inspection.local import local_findings
from calyx.model.weights import hash_weights
from calyx.privacy.section import PrivacyConfig
from calyx.questions.layouts import statistics_parts, survey_of
from calyx.run.order import Order
from calyx.survey.blocks import ALL, ITEMS, TRAIN, StatisticsConfig, Survey, fold_name
from calyx.survey.measuring import Measured, measure
from calyx.vector.contribution import Contribution, encode
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client import journal
from client.config import Site
from client.failures import ClientFailure
from client.gate import secure_mod
from client.gate.pace import note_rows
from client.gate.policy import accept, check_policy
from client.rows.begun import compare
from client.rows.data import Rows, check_agreed, read_rows, task_of
from client.rows.renewal import read_settled
from client.rows.versions import keep_version, last_version


def survey(message: Message, context: Context, site: Site) -> RecordDict:
    """The reply to an order for statistics. Raises Refusal, ClientFailure, ConfigError."""
    order = accept(message, site.name, "statistics")
    privacy = parse(PrivacyConfig, order.terms.privacy, "privacy")
    check_policy(order, privacy, site.policy, is_site=site.state_dir is not None)
    try:
        wire.read_order_weights(message, {})
    except WireError as error:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, str(error)) from None
    if order.weights != hash_weights({}):
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, "Statistics are of no model.")
    check_agreed(order.terms, site)
    wanted = survey_of(task_of(order.terms), order.terms)
    parts, opening = statistics_parts(privacy, wanted), None

    @cache  # what is measured is what the ledger has noted
    def read() -> Rows:
        note_rows(context, site)
        return read_settled(site, order)

    if privacy.is_encrypted:
        asked = secure_mod.Wanted(privacy, parts)
        opening = secure_mod.open_context(site, context, order, asked, lambda: read().version)
    rows = read()
    compare(site, order, rows)
    cfg = parse(StatisticsConfig, order.terms.statistics, "statistics")
    if cfg.thorough or site.state_dir is not None:
        _look(rows, site.state_dir)
    found = _measured(wanted, order, rows, site)
    layout = parts.layouts[0]
    vector = encode(Contribution(1, {}, {}, found), layout, np.zeros(0, np.float32))
    journal.write("statistics", samples=list(wanted.samples), rows=len(rows.table))
    if opening is not None:
        return secure_mod.advertise(opening, vector)
    return wire.vector_content(vector, layout.fixed)


def _look(rows: Rows, folder: Path | None) -> None:
    """For this client's own eyes: what the checks before every training do not look for.

    With a `folder`, which sites have, a new version of the rows is also held against the last one.
    """
    last = None if folder is None else last_version(folder, rows.task.name)
    is_new = last is None or last.version != rows.version
    previous = last.reference if last is not None and is_new else None
    known = {(finding.check, finding.column) for finding in rows.findings}
    for finding in local_findings(rows.table, rows.task.schema, previous):
        if (finding.check, finding.column) not in known:
            journal.write("finding", **asdict(finding))
    if folder is not None and is_new:
        keep_version(folder, rows)


def _measured(wanted: Survey, order: Order, rows: Rows, site: Site) -> Measured:
    allowed = ITEMS if site.policy.statistics is None else site.policy.statistics
    samples: dict[str, Table] = {ALL: rows.table, TRAIN: rows.parts["train"]}
    for fold in range(len(wanted.samples) - len(samples)):
        parts = read_rows(order.terms, site.name, site.data_dir, fold).parts
        samples[fold_name(fold)] = parts["train"]
    return measure(wanted, samples, site.policy.min_cell, allowed)
