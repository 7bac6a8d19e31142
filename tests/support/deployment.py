"""An operator, a consortium and sites, each on a machine of its own where that is possible."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import yaml
from network import Network, why_no_namespaces
from program import calyx_command, environment

OPERATOR, INTRUDER = "operator", "intruder"
POLICY = {
    "privacy": "secagg",
    "n_min": 4,
    "h_min": 3,
    "max_colluders": 1,
    "sampling": "adversarial",
    "runs_a_day": None,
    "sums_a_day": None,
    "bounds": None,
}
HARDWARE = {
    "name": "cpu",
    "device": "cpu",
    "threads": 1,
    "precision": "float32",
    "deterministic": True,
}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(what, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


class Deployment:
    """Folders and processes of a federation; use it as a context manager.

    Where network namespaces are not allowed all is on loopback, and `why_loopback` says why.
    """

    def __init__(self, folder, sites, data):
        self.folder, self.sites, self.data = folder, tuple(sites), data
        self.why_loopback = why_no_namespaces()
        self.port = self.control = 0
        self.processes, self._logs = {}, {}
        self._stack = ExitStack()
        self.network = None

    def __enter__(self):
        if self.why_loopback is None:
            hosts = (OPERATOR, *self.sites, INTRUDER)
            self.network = self._stack.enter_context(Network(hosts))
            self.host, self.port, self.control = self.network.address(OPERATOR), 9443, 9310
        else:
            self.host, self.port, self.control = "127.0.0.1", free_port(), free_port()
        self._stack.callback(self.down)
        self._make_keys()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def _make_keys(self):
        self.calyx("keys", "init", "--folder", "keys", "--host", self.host)
        self.calyx("keys", "consortium")
        (self.folder / "nodes").mkdir()
        for name in self.sites:
            self.add_site(name)
        self.sign_roster("r.json")
        self.sign_manifest("manifest.json", 1)

    def add_site(self, name):
        self.calyx("keys", "site", name, "--folder", "sites")
        public = self.folder / "sites" / f"{name}.node.pub"
        (self.folder / "nodes" / public.name).write_bytes(public.read_bytes())

    def sign_roster(self, out):
        publics = [f"sites/{name}.pub" for name in self.sites]
        self.calyx("keys", "roster", "--consortium", "consortium.key", "--out", out, *publics)

    def sign_manifest(self, out, version):
        sign = ("keys", "manifest", "--consortium", "consortium.key", "--version", str(version))
        self.calyx(*sign, "--out", out)

    def _on(self, host):
        return self.network.within(host) if self.network else []

    def run(self, command, host=OPERATOR, code=0, timeout=120, env=None):
        """A command on a host, to its end; what it said."""
        ended = subprocess.run(
            [*self._on(host), *command],
            cwd=self.folder,
            env=environment() | (env or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def calyx(self, *arguments, host=OPERATOR, code=0, timeout=120, env=None):
        return self.run(calyx_command(*arguments), host, code, timeout, env)

    def script(self, name, *arguments, host=OPERATOR):
        """A file of tests/support, run by a host; what it printed."""
        path = Path(__file__).parent / name
        return self.run([sys.executable, str(path), *map(str, arguments)], host)

    def site_file(self, name, policy=None, client=None, **changes):
        """Write NAME.yaml and return its name."""
        section = {
            "name": name,
            "data_dir": str(self.data),
            "hardware": HARDWARE,
            "state_dir": f"state-{name}",
            "identity": f"sites/{name}.key",
            "roster": "r.json",
            "policy": POLICY | (policy or {}),
        }
        values = {
            "server": f"{self.host}:{self.port}",
            "authority": "keys/ca.crt",
            "node_key": f"sites/{name}.node.key",
            "manifest": "manifest.json",
            "client": section | (client or {}),
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values | changes))
        return path.name

    def start(self, name, *arguments, host=OPERATOR):
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [*self._on(host), *calyx_command(*arguments)],
            cwd=self.folder,
            env=environment(),
            stdout=log,
            stderr=log,
        )

    def said(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def serve(self):
        ports = ("--port", str(self.port), "--control-port", str(self.control))
        before = self.said("server").count("stops everything")
        self.start("server", "server", "--host", self.host, *ports)
        wait_for(lambda: self.said("server").count("stops everything") > before)

    def join(self, name, file=None):
        """Start a site and wait until it is connected."""
        before = self.said(name).count("connected to")
        self.start(name, "client", file or self.site_file(name), host=name)
        wait_for(lambda: self.said(name).count("connected to") > before)

    def up(self):
        self.serve()
        for name in self.sites:
            self.start(name, "client", self.site_file(name), host=name)
        for name in self.sites:
            wait_for(lambda name=name: "connected to" in self.said(name))

    @property
    def where(self):
        return (f"--control-port={self.control}", "--authority=keys/ca.crt")

    def submit(self, *overrides, code=0, env=None):
        options = (*self.where, "--roster=r.json")
        return self.calyx("submit", *options, *overrides, code=code, timeout=400, env=env)

    def kill(self, name):
        """kill -9, as a machine that loses its power."""
        self.processes[name].kill()
        self.processes[name].wait()

    def down(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
