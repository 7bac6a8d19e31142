"""The client's doors: one function for each message that a server may send."""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from calyx.questions.question import Question
from calyx.questions.registry import questions
from calyx.wire import messages as wire
from client.config import read_site
from client.gate import secure_mod
from client.partition import node_values
from client.reply import reply_to

app = ClientApp()


def add_door(question: Question) -> None:
    """Answer messages of the question's type from now on."""
    category, _, action = question.message_type.partition(".")

    def on_order(message: Message, context: Context) -> Message:
        return reply_to(message, context, question)

    getattr(app, category)(action or "default")(on_order)


for _question in questions().values():
    add_door(_question)


@app.query("share")
def on_share(message: Message, context: Context) -> Message:
    """Stage 1 of the secure aggregation: deal this client's secrets."""
    return secure_mod.on_stage(message, context, 1)


@app.query("mask")
def on_mask(message: Message, context: Context) -> Message:
    """Stage 2: the masked vector."""
    return secure_mod.on_stage(message, context, 2)


@app.query("consent")
def on_consent(message: Message, context: Context) -> Message:
    """Stage 3: sign whose vectors are in the sum."""
    return secure_mod.on_stage(message, context, 3)


@app.query("reveal")
def on_reveal(message: Message, context: Context) -> Message:
    """Stage 4: the shares that take the masks off that sum."""
    return secure_mod.on_stage(message, context, 4)


@app.query("abandon")
def on_abandon(message: Message, context: Context) -> Message:
    """Give a sum up for good."""
    return secure_mod.on_stage(message, context, None)


@app.query("name")
def on_name(message: Message, context: Context) -> Message:
    """Say this client's stable name."""
    return Message(wire.name_content(read_site(node_values(context)).name), reply_to=message)
