"""A tap on a grid: it records what crosses, silences clients, and lets a test alter messages."""

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid

from calyx.flower.messages import SERVER_NODE
from calyx.simulation.clients import RUN_ID
from calyx.simulation.engine import tell
from calyx.wire import messages as wire
from server.app import app
from server.job import to_run_config

STAGE_OF = {"train": 0, "evaluate": 0, "evaluate.test": 0, wire.ABANDON_TYPE: 5} | {
    kind: stage for stage, kind in wire.STAGE_TYPES.items()
}


def stage_of(message):
    """0 to 4, 5 for an abandonment, None for the question for names."""
    return STAGE_OF.get(message.metadata.message_type)


class Tap(Grid):
    """Between the server and a grid. Messages go through `request` and `reply`, if they are set."""

    def __init__(self, inner):
        self.inner = inner
        self.sent, self.received = [], []  # (stage, node, content)
        self.silent = set()  # nodes
        self.request = lambda message: message
        self.reply = lambda message, reply: reply

    def send_and_receive(self, messages, *, timeout=None):
        passed = []
        for message in messages:
            self.sent.append((stage_of(message), message.metadata.dst_node_id, message.content))
            altered = self.request(message)
            if altered is not None and message.metadata.dst_node_id not in self.silent:
                passed.append(altered)
        by_id = {}
        replies = []
        for reply in self.inner.send_and_receive(passed, timeout=timeout):
            if not by_id:
                by_id = {m.metadata.message_id: m for m in passed}
            message = by_id[reply.metadata.reply_to_message_id]
            found = self.reply(message, reply)
            if found is not None:
                content = found.content if found.has_content() else None
                self.received.append((stage_of(message), message.metadata.dst_node_id, content))
                replies.append(found)
        return replies

    @property
    def run(self):
        return self.inner.run

    def get_node_ids(self):
        return self.inner.get_node_ids()

    def set_run(self, run):
        self.inner.set_run(run)

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        return self.inner.create_message(content, message_type, dst_node_id, group_id, ttl)

    def push_messages(self, messages):
        return self.inner.push_messages(messages)

    def pull_messages(self, message_ids):
        return self.inner.pull_messages(message_ids)


def changed(message, body):
    """The same request of a stage with another body."""
    ctx, _ = wire.read_stage(message)
    return Message(
        wire.stage_content(ctx, body), message.metadata.dst_node_id, message.metadata.message_type
    )


def run_server(federation, grid, folder, resume=False, **changes):
    """The real server app over `grid`, to the end of the run; the run's folder.

    `changes` are config keys, as `calyx resume RUN KEY=VALUE` gives them. There is no audit: what
    crosses is of the training.
    """
    phases = {"phases": ["preprocess", "train", "validate", "release"]}
    config = federation.plan.config | phases | changes
    roster, engine = federation.identities.roster, tell(federation.plan.engine)
    job = to_run_config(config, folder, resume=resume, roster=roster, engine=engine)
    app(grid, Context(RUN_ID, SERVER_NODE, {}, RecordDict(), dict(job)))
    return folder
