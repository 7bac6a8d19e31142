"""Real clients of one federation, asked by hand: a test is the server."""

import json
from dataclasses import replace

from flwr.app import Context, Message, RecordDict

from calyx.config.section import canonical_json
from calyx.flower.messages import as_task
from calyx.model.weights import hash_weights
from calyx.questions.registry import question_of
from calyx.questions.segments import Inquiry, rules_of
from calyx.run.order import Abandoned, Link, Order, to_json
from calyx.secagg.aggregator import Aggregator
from calyx.secagg.roster import read_roster
from calyx.secagg.rules import context
from calyx.wire import messages as wire
from client.app import app
from client.config import node_config
from client.gate import memory
from client.gate.secure_mod import subject_of
from support.protocol import takes_of

LINKS = ({"ctx": "1" * 64, "root": "2" * 64},)  # of a sum in which no client here took part


class Clients:
    """Five clients of digits under encryption; `section` changes their own config."""

    def __init__(self, federation, **section):
        self.federation = federation
        self.names = list(federation.nodes)
        self.section = federation.plan.run.client | section
        self.roster = read_roster(federation.identities.roster)
        self.contexts = {name: self.fresh(name) for name in self.names}

    def fresh(self, name, **section):
        """A client that has just been started."""
        keys = self.federation.identities.keys_of(name)
        node = self.federation.nodes[name]
        config = dict(node_config(name, self.section | section, keys))
        return Context(1, node, config, RecordDict(), {})

    def order(self, **changes):
        """A sound order for all of them."""
        values = {
            "protocol": "calyx/1",
            "run": "run",
            "kind": "train",
            "round": 1,
            "attempt": 1,
            "weights": hash_weights(self.federation.template),
            "is_validated": False,
            "previous": (),
            "abandoned": (),
            "groups": (tuple(self.names),),
            "members": None,
            "rounds": 5,
            "best": 0,
            "deadline_s": 60.0,
            "terms": self.federation.setting.terms,
        }
        values |= changes
        values["previous"] = tuple(Link(**link) for link in values["previous"])
        values["abandoned"] = tuple(Abandoned(**proof) for proof in values["abandoned"])
        return Order(**values)

    def with_terms(self, section, **changes):
        """The same with changes in a section of the terms."""
        terms = self.federation.setting.terms
        return self.order(terms=replace(terms, **{section: getattr(terms, section) | changes}))

    def ask(self, name, order, weights=None, context=None):
        """Stage 0 of one client: its reply to an order (or to an order's text)."""
        as_task(1)
        text = order if isinstance(order, str) else to_json(order)
        kind = "train" if isinstance(order, str) else order.kind
        content = wire.order_content(self.federation.template if weights is None else weights, text)
        message = Message(content, self.federation.nodes[name], question_of(kind).message_type)
        return app(message, context or self.contexts[name])

    def stage(self, name, stage, ctx, body, context=None):
        """One of stages 1 to 4, or 5 for an abandonment."""
        as_task(1)
        kind = wire.ABANDON_TYPE if stage == 5 else wire.STAGE_TYPES[stage]
        message = Message(wire.stage_content(ctx, body), self.federation.nodes[name], kind)
        return app(message, context or self.contexts[name])

    def aggregator(self, order, group=0):
        """An honest server's half for a group of an order."""
        setting = self.federation.setting
        inquiry = Inquiry(setting.contents, setting.run.privacy, order.terms, order.is_validated)
        segments, names = question_of(order.kind).segments(inquiry), order.groups[group]
        sizes = len(order.groups), len(names)
        rules = rules_of(setting.run.privacy, segments, len(self.roster), *sizes)
        ctx = context(subject_of(order, group), self.roster.digest, rules)
        members = tuple(sorted(self.roster.indices[n] for n in names))
        return Aggregator(ctx, rules, self.roster, members)

    def advance(self, order, until, weights=None):
        """Every client up to and with the replies of stage `until`; the server, its next requests."""
        server = self.aggregator(order)
        replies = {u: self.ask(n, order, weights) for u, n in enumerate(self.names)}
        takes = takes_of(server)
        for stage in range(until + 1):
            bodies = {u: wire.read_stage(reply)[1] for u, reply in replies.items()}
            requests = takes[stage](bodies)
            if stage == until:
                return server, requests
            replies = {
                u: self.stage(self.names[u], stage + 1, server.ctx, body)
                for u, body in requests.items()
            }
        raise AssertionError(until)


def code_of(reply):
    """The code of a refusal, or of a failure."""
    assert not reply.has_content()
    note = wire.read_refusal(reply)
    return note.code.value if note else reply.error.reason


def edited(order, **changes):
    """An order's text with fields that its type would not allow."""
    return canonical_json(json.loads(to_json(order)) | changes)


def secrets_of(clients):
    """Every private identity key, and what sessions hold now."""
    found = set(map(clients.federation.identities.private_of, clients.names))
    for kept in clients.contexts.values():
        record = kept.state.config_records.get("secagg-session")
        if record:
            session = memory.from_bytes(record["session"])
            found |= {session.seed, session.mask_private, session.share_private, session.own_share}
            found |= {both[i : i + 33] for both in session.held.values() for i in (0, 33)}
            found |= {session.vector[i : i + 64] for i in range(0, len(session.vector), 64)}
    return {secret for secret in found if secret.strip(b"\0")}
