"""docs/deploy.md as its readers follow it: each party in a folder and on a machine of its own.

The page's own blocks are run, and the files are carried that its first table names. Where network
namespaces are not allowed all is on loopback: then HOST:PORT is replaced, and nothing else.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

from benchmarks.fleet import wait_for
from benchmarks.network import Network, why_no_namespaces

TEXT = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text()
SITES = ("north", "south", "east", "west", "centre", "coast")
HOST, PORT = "gateway.example.org", "9443"
PARTIES = {"each site": SITES, "consortium": ("consortium",), "operator": ("operator",)}


def step(start):
    """The commands and the file of a section, from the heading that begins so to the next one."""
    (found,) = re.findall(rf"^## {re.escape(start)}.*?(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", found, re.DOTALL)
        for line in block.splitlines()
    ]
    files = re.findall(r"```yaml\n(.*?)```", found, re.DOTALL)
    return commands, "".join(files)


def carried():
    """Of each file that the page's first table carries: its name, from whom, and to whom it goes."""
    rows = re.findall(
        r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", TEXT.partition("\n## ")[0], re.MULTILINE
    )
    return [
        (name, origin, re.findall(r"(each site|consortium|operator)(?:: `([^`]+)`)?", to))
        for name, origin, to in rows
    ]


class Parties:
    """Folders, machines and processes of everybody; use it as a context manager."""

    def __init__(self, folder, programs):
        self.folder, self._stack = folder, ExitStack()
        self._path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self._network, self._processes = None, {}
        self._mapped = {}

    def __enter__(self):
        for name in ("operator", "consortium", *SITES):
            (self.folder / name).mkdir()
        if why_no_namespaces() is None:
            hosts = ("operator", "consortium", *SITES)
            self._network = self._stack.enter_context(Network(hosts, {"operator": HOST}))
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self._mapped = {HOST: "127.0.0.1", PORT: str(free.getsockname()[1])}
        self._stack.callback(self._end)
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def text(self, text, party="north"):
        """The page's, as a site reads it whose name is another."""
        for old, new in self._mapped.items():
            text = text.replace(old, new)
        return re.sub(r"\bnorth\b", party, text) if party in SITES else text

    def write(self, party, name, text):
        path = self.folder / party / self.text(name, party)
        path.parent.mkdir(exist_ok=True)
        path.write_text(self.text(text, party))

    def run(self, party, line):
        """A command of the page in the party's folder, to its end; what it said."""
        done = subprocess.run(
            self._words(party, line),
            cwd=self.folder / party,
            env=self._environment(party),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{party}: {line}\n{done.stdout}{done.stderr}"
        self._carry()
        return done.stdout

    def start(self, party, line, until):
        """One that goes on, until it says so."""
        log = self.folder / party / "log.txt"
        with log.open("wb") as output:
            self._processes[party] = subprocess.Popen(
                self._words(party, line),
                cwd=self.folder / party,
                env=self._environment(party),
                stdout=output,
                stderr=output,
            )
        self.wait(party, until)

    def said(self, party):
        return (self.folder / party / "log.txt").read_text()

    def wait(self, party, text):
        wait_for(lambda: text in self.said(party))

    def _carry(self):
        """Each file of the page's table from where it is by now to where it belongs."""
        for name, origin, places in carried():
            for party in PARTIES.get(origin, ()):
                source = self.folder / party / self.text(name, party)
                for to, folder in places if source.exists() else ():
                    for other in PARTIES[to]:
                        place = self.folder / other / (folder or "")
                        place.mkdir(exist_ok=True)
                        shutil.copy(source, place)

    def _words(self, party, line):
        inside = self._network.within(party) if self._network else []
        return [*inside, "sh", "-c", f"exec {self.text(line, party)}"]

    def _environment(self, party):
        own = {"PATH": self._path, "COLUMNS": "200", "XDG_STATE_HOME": str(self.folder / party)}
        return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | own

    def _end(self):
        """Sites as a power cut ends them, the server by Ctrl-C, which ends what it started."""
        server = self._processes.pop("operator", None)
        for process in self._processes.values():
            process.kill()
            process.wait()
        if server is None:
            return
        server.send_signal(signal.SIGINT)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
