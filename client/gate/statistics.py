"""What an order for statistics asks of this client, all of it checked; no model is needed."""

from flwr.app import Context, Message

from calyx.errors import WireError
from calyx.model.weights import hash_weights
from calyx.questions.layouts import statistics_parts, survey_of
from calyx.run.order import Order
from calyx.wire import messages as wire
from calyx.wire.messages import FailureCode
from client.config import Site
from client.failures import ClientFailure
from client.gate import secure_mod
from client.gate.assignment import Assignment
from client.gate.pace import note_rows
from client.gate.policy import check_policy
from client.gate.sections import read_sections
from client.rows.begun import compare
from client.rows.data import Rows, check_agreed, task_of
from client.rows.renewal import read_settled


def open_survey(message: Message, context: Context, site: Site, order: Order) -> Assignment:
    """As `open_assignment`, of an order for statistics. Raises Refusal, ClientFailure, ConfigError."""
    sections = read_sections(order.terms)
    privacy = sections.privacy
    check_policy(order, privacy, site.policy, is_site=site.is_deployed)
    try:
        wire.read_order_weights(message, {})
    except WireError as error:
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, str(error)) from None
    if order.weights != hash_weights({}):
        raise ClientFailure(FailureCode.WEIGHTS_REFUSED, "Statistics are of no model.")
    check_agreed(order.terms, site)
    segments = statistics_parts(privacy, survey_of(task_of(order.terms), order.terms))
    known: list[Rows] = []  # what is measured is what the ledger has noted

    def read() -> Rows:
        if not known:
            note_rows(context, site)
            known.append(read_settled(site, order))
        return known[0]

    opening = None
    if privacy.is_encrypted:
        wanted = secure_mod.Wanted(privacy, segments)
        opening = secure_mod.open_context(site, context, order, wanted, lambda: read().version)
    compare(site, order, read())
    return Assignment(site, order, sections, read(), segments, opening)
