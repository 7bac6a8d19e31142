"""A site's connection: what a server can do to it is to make it wait."""

import asyncio
import email.utils
import gzip
import os
import signal
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest
from flwr.app import Message, RecordDict
from flwr.proto.fleet_pb2 import ActivateNodeResponse, PullMessagesRequest
from flwr.proto.message_pb2 import PullObjectResponse
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from support.tls import served

from calyx.errors import CalyxError, UserError
from calyx.flower import site as flower_site
from calyx.flower.door import Door
from calyx.flower.messages import as_task, label_message
from calyx.flower.site import NotAdmitted, SiteLink
from calyx.trust import bounded_http
from calyx.trust.authority import make_server
from calyx.trust.certificates import make_node_key

PULL = "/v1/fleet/pull-messages"


class Server:
    """Answers each path with the next of its scripted answers; the last one stays."""

    def __init__(self):
        self.script, self.calls = {}, []

    async def answer(self, request):
        path = request.url.path
        self.calls.append(path)
        answers = self.script.get(path) or [Response(b"")]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    make_server(folder, ["127.0.0.1"])
    make_node_key("north", folder)
    return folder


@pytest.fixture
def server(keys):
    made = Server()
    routes = [Route("/{path:path}", made.answer, methods=["POST", "GET"])]
    with served(Starlette(routes=routes), keys) as made.address:
        made.script["/v1/fleet/activate-node"] = [
            Response(ActivateNodeResponse(node_id=7).SerializeToString())
        ]
        yield made


@pytest.fixture
def link(server, keys, monkeypatch):
    """A site's link whose waits, of seconds, are a tenth: what they are for is not waited for here."""
    monkeypatch.setattr(flower_site, "_FIRST_WAIT_S", flower_site._FIRST_WAIT_S / 10)
    monkeypatch.setattr(flower_site, "_UNSEEN_S", flower_site._UNSEEN_S / 10)
    told = []
    made = SiteLink(door(server, keys), told.append)
    made.told = told
    return made


def door(server, keys, authority="ca.crt"):
    key = (keys / "north.node.key").read_bytes()
    return Door(server.address, keys / authority, key)


def pull(link):
    return link.call("PullMessages", PullMessagesRequest())


def test_a_proxy_that_is_away_is_not_told_as_the_server(keys, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://bob:secret@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "company.example")
    told, stop = [], threading.Event()
    key = (keys / "north.node.key").read_bytes()
    link = SiteLink(Door("gate.example:9443", keys / "ca.crt", key), told.append)
    stop.set()
    with pytest.raises(CalyxError, match="given up"):
        link.call("PullMessages", PullMessagesRequest(), stop)
    assert told == [
        "the proxy http://127.0.0.1:9 (from https_proxy) cannot be reached (Connection refused); "
        "trying until it does"
    ]


def test_a_server_that_is_away_is_waited_for_and_that_is_said_once(server, link):
    away = [Response(status_code=status) for status in (503, 502, 429)]
    server.script[PULL] = [*away, Response(b"")]
    pull(link)
    assert len(server.calls) == 4
    assert len(link.told) == 2
    assert "does not answer (status 503); trying until it does" in link.told[0]
    assert link.told[1] == "the server answers again"


def test_a_site_that_is_not_known_is_told_so_at_once(server, link):
    server.script[PULL] = [Response(status_code=401)]
    with pytest.raises(NotAdmitted, match="does not know this site's node key"):
        pull(link)
    assert len(server.calls) == 1


@pytest.mark.parametrize(("seconds", "words"), [(400, "behind"), (-4000, "ahead of")])
def test_a_wrong_clock_is_named_as_the_reason(server, link, seconds, words):
    date = email.utils.formatdate(time.time() + seconds, usegmt=True)
    server.script[PULL] = [Response(status_code=401, headers={"date": date})]
    with pytest.raises(NotAdmitted, match=words):
        pull(link)


def test_a_clock_is_compared_by_the_servers_date():
    def answer(**headers):
        return httpx.Response(401, headers=headers)

    now = time.time()
    assert abs(bounded_http.seconds_ahead(answer())) == 0
    assert bounded_http.seconds_ahead(answer(date="no date")) == 0
    behind = email.utils.formatdate(now + 1000, usegmt=True)
    assert -1003 < bounded_http.seconds_ahead(answer(date=behind)) < -997


def test_a_server_of_another_authority_is_not_spoken_to(server, keys, tmp_path):
    make_server(tmp_path, ["127.0.0.1"])
    stranger = SiteLink(
        Door(server.address, tmp_path / "ca.crt", door(server, keys).private_key), print
    )
    with pytest.raises(NotAdmitted, match="not to be trusted"):
        stranger.connect(None)
    assert server.calls == []


@pytest.mark.parametrize("content", [b"", b"no certificate"])
def test_an_authority_that_is_none_is_one_sentence(server, keys, tmp_path, content):
    (tmp_path / "ca.crt").write_bytes(content)
    with pytest.raises(UserError, match="no certificate that can be read"):
        SiteLink(Door(server.address, tmp_path / "ca.crt", door(server, keys).private_key), print)


@pytest.mark.parametrize("key", [b"", b"x", b"-----BEGIN PRIVATE KEY-----"])
def test_a_node_key_that_is_none_is_one_sentence(server, keys, key):
    with pytest.raises(UserError, match="holds no node key"):
        SiteLink(Door(server.address, keys / "ca.crt", key), print)


def test_a_redirect_leads_nowhere(server, link):
    server.script[PULL] = [RedirectResponse(f"https://{server.address}/elsewhere", 307)]
    with pytest.raises(httpx.HTTPStatusError):
        pull(link)
    assert server.calls == [PULL]


@pytest.mark.parametrize("is_declared", [True, False])
def test_an_answer_without_end_is_cut_off(server, link, monkeypatch, is_declared):
    monkeypatch.setattr(bounded_http, "MAX_ANSWER_BYTES", 100_000)

    async def endless():
        for _ in range(10_000):
            yield b"x" * 10_000

    long = Response(b"x" * 100_001) if is_declared else StreamingResponse(endless())
    server.script[PULL] = [long]
    with pytest.raises(CalyxError, match="more than 100000 bytes"):
        pull(link)


def test_an_answer_that_drips_is_given_up(server, link):
    async def dripping():
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    server.script[PULL] = [StreamingResponse(dripping()), Response(b"")]
    link._client._client.timeout = httpx.Timeout(0.5)
    pull(link)
    assert server.calls == [PULL, PULL]
    assert "comes too slowly" in link.told[0]


def test_an_answer_that_unpacks_to_more_is_refused(server, link):
    bomb = gzip.compress(bytes(10**7))
    server.script[PULL] = [Response(bomb, headers={"content-encoding": "gzip"})]
    with pytest.raises(CalyxError, match="compressed"):
        pull(link)


def test_a_site_signs_its_crashed_process_off_before_it_connects(server, link):
    with link.hold_connection(earlier=5):
        assert link.node_id == 7
    paths = [path.rsplit("/", 1)[1] for path in server.calls if "heartbeat" not in path]
    assert paths == ["deactivate-node", "activate-node", "deactivate-node"]
    assert link.has_left


def test_a_site_that_could_not_say_goodbye_knows_it(server, link):
    with link.hold_connection(earlier=None):
        server.script["/v1/fleet/deactivate-node"] = [Response(status_code=503)]
    assert not link.has_left


def test_a_heartbeat_that_nobody_took_is_not_repeated_at_once(server, link):
    """A server that took none would have one a second, and see by the answers how busy a site is."""
    server.script["/v1/fleet/send-node-heartbeat"] = [Response(status_code=503)]
    assert link.beat()


def test_a_message_that_is_none_is_refused(server, link):
    server.script[PULL] = [Response(b"\xff\xff no protobuf")]
    with pytest.raises(ValueError, match="protobuf"):
        link.receive()


def test_no_field_of_a_reply_says_when_it_was_made_or_how_long_that_took(server, link, monkeypatch):
    as_task(1)
    asked, bodies = Message(RecordDict(), 7, "train"), []
    asked.metadata.created_at, asked.metadata.ttl = 1.8e9, 600.0
    label_message(asked.metadata, "the-order")
    nothing_more = SimpleNamespace(objects_to_push=[])
    monkeypatch.setattr(link, "call", lambda _, request: bodies.append(request) or nothing_more)
    for now in (1.8e9 + 1, 1.8e9 + 3.7):  # when the app makes the reply
        clock = datetime.fromtimestamp(now, UTC)
        monkeypatch.setattr("flwr.app.message.message.now", lambda clock=clock: clock)
        reply = Message(RecordDict(), reply_to=asked)
        assert reply.metadata.created_at == now
        link.reply(reply, asked)
    first, second = bodies
    assert first == second
    assert list(first.clientapp_runtime_list) == [0.0]
    sent = first.messages_list[0].metadata
    assert (sent.created_at, sent.ttl) == (1.8e9, 600.0)


PART = "/v1/fleet/pull-object"


def part(content=b"", found=True, available=True):
    answer = PullObjectResponse(
        object_found=found, object_available=available, object_content=content
    )
    return Response(answer.SerializeToString())


def test_a_part_that_is_not_there_yet_is_asked_for_again(server, link):
    server.script[PART] = [part(available=False), part(available=False), part(b"here")]
    assert link._pull(1, ["a"]) == {"a": b"here"}
    assert server.calls.count(PART) == 3


def test_a_message_of_too_many_bytes_or_without_a_part_is_refused(server, link, monkeypatch):
    monkeypatch.setattr("calyx.flower.site.MAX_MESSAGE_BYTES", 100)
    server.script[PART] = [part(b"x" * 60)]
    assert len(link._pull(1, ["a", "a"])) == 1
    with pytest.raises(CalyxError, match="more than 100 bytes"):
        link._pull(1, ["a", "b"])
    server.script[PART] = [part(found=False)]
    with pytest.raises(CalyxError, match="lacks a part"):
        link._pull(1, ["a"])


def test_ctrl_c_ends_a_site_whose_server_went_away_in_the_middle_of_a_message(server, link):
    server.script[PART] = [Response(status_code=503)]
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            link._pull(1, [f"part-{i}" for i in range(50)])
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
