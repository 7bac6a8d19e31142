"""The bell between gateway and server app: no ring is missed, and nobody is needed on the other side."""

import asyncio
import threading

import pytest

from calyx.flower.bell import PORT_VARIABLE, AppBell, GatewayBell, app_bell, bind_bell


@pytest.fixture
def own():
    made = bind_bell()
    yield made
    made.close()


def test_each_side_wakes_the_other(own):
    app, woken = AppBell(own.getsockname()[1]), threading.Event()

    async def gateway():
        bell = await GatewayBell.listen(own)
        ring = bell.next_ring
        app.ring()
        await asyncio.wait_for(ring.wait(), 10)
        thread = threading.Thread(target=lambda: (app.wait(60, 1), woken.set()))
        thread.start()
        bell.ring()
        await asyncio.to_thread(thread.join, 10)
        bell.close()

    asyncio.run(gateway())
    assert woken.is_set()


def test_a_ring_before_the_wait_is_not_missed(own):
    app = AppBell(own.getsockname()[1])

    async def gateway():
        bell = await GatewayBell.listen(own)
        before = bell.next_ring  # taken before a question
        app.ring()
        while not before.is_set():
            await asyncio.sleep(0.001)
        after = bell.next_ring
        assert after is not before
        assert not after.is_set()
        bell.ring()
        bell.close()

    asyncio.run(gateway())
    app.wait(60, 1)  # returns at once


def test_a_wait_gathers_the_rings_of_all_who_are_awaited(own):
    app = AppBell(own.getsockname()[1])

    async def gateway():
        bell = await GatewayBell.listen(own)
        app.ring()
        while not bell.count:
            await asyncio.sleep(0.001)
        for _ in range(3):
            bell.ring()
        bell.close()

    asyncio.run(gateway())
    app.wait(60, 3)
    app.wait(0.0, 1)
    app.wait(60, 0)  # nobody is awaited


def test_without_a_gateway_a_ring_does_nothing_and_a_wait_ends():
    gone = bind_bell()
    port = gone.getsockname()[1]
    gone.close()
    app = AppBell(port)
    app.ring()
    app.wait(0.01, 1)
    app.ring()


@pytest.mark.parametrize(("value", "there"), [("1234", True), ("", False), ("x", False)])
def test_a_process_has_a_bell_where_the_server_gave_it_one(monkeypatch, value, there):
    monkeypatch.setenv(PORT_VARIABLE, value)
    app_bell.cache_clear()
    assert (app_bell() is not None) is there
    app_bell.cache_clear()
