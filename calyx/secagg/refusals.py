"""Why a client refuses: one code for each line of `calyx-secagg/1` §6. Nothing else leaves it."""

from enum import StrEnum


class RefusalCode(StrEnum):
    """The one word that a server gets; the sentence stays in the client's own log."""

    OUTSIDE_POLICY = "outside-policy"  # roster, rules or order that this site does not allow
    ROUND_REPLAYED = "round-replayed"  # (round, attempt) not after the last
    CONTEXT_REUSED = "context-reused"
    RULES_CHANGED = "rules-changed"  # other terms than this run began with
    CHAIN_BROKEN = "chain-broken"  # links that do not lead to this client's own last revealed sum
    OWN_ADVERTISEMENT = "own-advertisement-altered"
    BAD_SIGNATURE = "bad-signature"
    UNKNOWN_CLIENT = "unknown-client"
    REPEATED_KEY = "repeated-key"
    TOO_FEW_CLIENTS = "too-few-clients"
    TOO_MANY_CLIENTS = "too-many-clients"
    SECOND_GROUP = "second-group"
    BAD_INBOX = "bad-inbox"  # a sender twice, itself, or unknown
    SEALED_SHARE = "sealed-share-unreadable"
    SHARE_RANGE = "share-out-of-range"
    TOO_FEW_SHARES = "too-few-shares"
    NOT_IN_SUM = "not-in-sum"
    SUM_OUTSIDE_INBOX = "sum-outside-inbox"
    SUM_TOO_SMALL = "sum-too-small"
    SUM_CHANGED = "sum-changed"  # another U2 at stage 4 than was signed
    TOO_FEW_SIGNATURES = "too-few-signatures"
    WRONG_STAGE = "wrong-stage"
    AFTER_DEADLINE = "after-deadline"
    SECOND_VECTOR = "second-vector"  # for a model that has had one
    DAILY_LIMIT = "daily-limit"
    MALFORMED = "malformed"
    REVEALED = "already-revealed"  # asked to abandon a sum that it has helped to open


class Refusal(Exception):
    """This client stops here. `code` and `accused` (an index u) may leave it, the sentence may not."""

    def __init__(self, code: RefusalCode, sentence: str, accused: int | None = None) -> None:
        super().__init__(sentence)
        self.code, self.accused = code, accused
