"""A real TLS server on loopback, with the certificate of a folder that `make_server` filled."""

import threading
import time
from contextlib import contextmanager

import uvicorn


@contextmanager
def served(app, keys, says_date=False):
    """Serve `app`; its HOST:PORT."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        ssl_certfile=str(keys / "server.crt"),
        ssl_keyfile=str(keys / "server.key"),
        log_level="critical",
        date_header=says_date,  # a test may send its own
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True  # connections may still be open
    thread.join()
