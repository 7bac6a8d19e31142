"""What the codes of clients mean, in a sentence for the operator; a client's own words stay with it."""

import re
from enum import StrEnum

from calyx.secagg.refusals import RefusalCode
from calyx.wire.messages import FailureCode

_PROTOCOL = (
    "the server's messages were not what the protocol says: a fault of the network or of Calyx, or "
    "somebody alters them"
)
_FALLEN_BEHIND = "the client has given this exchange up, or was started again in the middle of it"
MEANINGS: dict[StrEnum, str] = {
    FailureCode.NO_ROWS: "the client has no rows to train on",
    FailureCode.DATA_UNREADABLE: "the client cannot read its data: see client.data_dir there, and what "
    "`calyx doctor site` says on that machine",
    FailureCode.WRONG_SCHEMA: "the client's columns are not those of the task",
    FailureCode.MISSING_VALUES: "values are missing, and preprocessing does not fill them in",
    FailureCode.INFINITE_VALUES: "the client's data holds infinite values",
    FailureCode.ORDER_REFUSED: "the client cannot run the order: its schema.yaml is another than task.schema "
    "here, its folder has no file of its name, the task is none of its own, or it does not know a value; "
    "its events.jsonl says which",
    FailureCode.WEIGHTS_REFUSED: "the weights are not those that the order's seed or hash says, "
    "or not those that the site was shown for this round before",
    FailureCode.NON_FINITE_UPDATE: "the client's training diverged; lower training.lr",
    FailureCode.INTERNAL_ERROR: "the client's program failed; its events.jsonl says where",
    FailureCode.BUNDLE_REFUSED: "the run was submitted with other code than is installed there: "
    "install the same version on every machine",
    FailureCode.ROWS_CHANGED: "the client's rows are not those that it began this run with, and its "
    "events.jsonl says what differs: have them put back and resume, or go on without it by "
    "`calyx resume RUN --without-changed`",
    RefusalCode.OUTSIDE_POLICY: "the order, its rules or the roster are outside the site's policy; "
    "its events.jsonl says which value, and only its owner can change that",
    RefusalCode.SECOND_VECTOR: "the site has answered for this model before, and does so once",
    RefusalCode.DAILY_LIMIT: "the site has answered as many runs, runs that it met in their middle, or sums "
    "as its policy has for a day, or failed or fallen silent as often: it answers again a day after the "
    "first of them. Or it was asked for more evaluations or tests of this run than that has trainings "
    "for. Its events.jsonl says which, and when",
    RefusalCode.CHAIN_BROKEN: "the order does not say that its weights come from the sum that "
    "the site has helped to open last: the site goes on with no such run, and takes a new one",
    RefusalCode.ROUND_REPLAYED: "the site has seen this round and attempt already, or a later model "
    "of the run",
    RefusalCode.CONTEXT_REUSED: "the site has seen this very order already",
    RefusalCode.RULES_CHANGED: "the run's terms, or who is in which group, are not those that it began with",
    RefusalCode.SECOND_GROUP: "the run has put the site into another group before",
    RefusalCode.TOO_FEW_CLIENTS: "the group is smaller than privacy.n_min and h_min ask for",
    RefusalCode.TOO_MANY_CLIENTS: "the group is larger than privacy.n_max",
    RefusalCode.TOO_FEW_SHARES: "too many clients of its group were lost before it could mask",
    RefusalCode.SUM_TOO_SMALL: "too many clients of its group were lost before the sum was fixed",
    RefusalCode.WRONG_STAGE: _FALLEN_BEHIND,
    RefusalCode.AFTER_DEADLINE: _FALLEN_BEHIND,
    RefusalCode.REVEALED: "the site has helped to open this sum, and cannot give it up any more",
} | dict.fromkeys(
    (
        RefusalCode.OWN_ADVERTISEMENT,
        RefusalCode.BAD_SIGNATURE,
        RefusalCode.UNKNOWN_CLIENT,
        RefusalCode.REPEATED_KEY,
        RefusalCode.BAD_INBOX,
        RefusalCode.SEALED_SHARE,
        RefusalCode.SHARE_RANGE,
        RefusalCode.NOT_IN_SUM,
        RefusalCode.SUM_OUTSIDE_INBOX,
        RefusalCode.SUM_CHANGED,
        RefusalCode.TOO_FEW_SIGNATURES,
        RefusalCode.MALFORMED,
    ),
    _PROTOCOL,
)


def explain(sentence: str) -> str:
    """The sentence, and one more for each code that it names and does not explain yet."""
    codes = [code for code in MEANINGS if re.search(rf"(?<![a-z-]){code}(?![a-z-])", sentence)]
    meanings = [f"{code}: {MEANINGS[code]}." for code in codes]
    return " ".join([sentence, *[meaning for meaning in meanings if meaning not in sentence]])
