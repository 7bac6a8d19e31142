"""Four hospitals on separate machines, whose programs are loaded once and then forked.

Loading costs a client, with PyTorch, three to five seconds of a core; there are four of them, an
operator's commands, and sites that come back after they were killed. A forked process is as real:
it has its own id, machine, environment and end. What is given an environment of its own is started
as it is installed.
"""

import ctypes
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fleet import OPERATOR, Fleet, wait_for

HEART = Path(__file__).resolve().parents[3] / "shared" / "data" / "heart"
NEEDS_HEART = pytest.mark.skipif(not HEART.is_dir(), reason="../shared/data/heart is not here")
SITES = ("cleveland", "hungarian", "switzerland", "va")
RUN = ("task=heart", f"task.data_dir={HEART}", "rounds=1", "baselines=false")
TRAINING = (*RUN, "phases=[preprocess,train,validate,release]")  # without an audit before it
LOADED = [
    "calyx.cli.client",
    "calyx.cli.doctor",
    "calyx.cli.keys",
    "calyx.cli.resume",
    "calyx.cli.server",
    "calyx.cli.simulate",
    "calyx.cli.submit",
    "client.learning.training",
    "calyx.simulation.embedded",
    "calyx.tasks.heart",
    "flwr.supercore.control.control_http_client",
    "flwr.supernode.fleet_http_client",
    "hydra.main",
    "sklearn.preprocessing",
    "uvicorn",
]
CLONE_NEWNET = 0x40000000


class Hospitals(Fleet):
    """A fleet that starts `calyx` and Python files from a process that has loaded them."""

    def __init__(self, folder):
        super().__init__(folder, SITES, HEART)

    def under_way(self, command, *arguments, env=None):
        """`calyx submit` or `calyx resume`, which is not waited for."""
        words = self.program((command, *self.where, *arguments))
        return self.start("operator", words, env=env)

    def summary(self, run):
        """Of a run folder."""
        return json.loads((self.folder / run / "summary.json").read_text())

    def simulated(self, *overrides):
        """The model's hash of the same run in simulation."""
        run = f"simulated-{'-'.join(overrides).replace('=', '')}"
        self.calyx("simulate", *TRAINING, *overrides, f"hydra.run.dir={run}")
        return self.summary(run)["model_sha256"]

    def start(self, name, command, host=OPERATOR, env=None):
        """As a fleet does."""
        if env is not None:
            return super().start(name, command, host, env)
        self.processes[name] = self._fork(command, host, self.folder / f"{name}.log")
        return self.processes[name]

    def run(self, command, host=OPERATOR, code=0, timeout=120, env=None):
        """As a fleet does."""
        if env is not None:
            return super().run(command, host, code, timeout, env)
        said = self.folder / f"said-{len(list(self.folder.glob('said-*')))}"
        process = self._fork(command, host, said)
        try:
            ended = process.wait(timeout)
        finally:
            process.kill()
        if ended != code:
            raise AssertionError(f"code {ended}: {said.read_text()}")
        return said.read_text()

    def _fork(self, command, host, log):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        place = (self.network.within(host)[-1] if self.network else None, self.folder)
        process = context.Process(target=_become, args=(command, place, self.environment(), log))
        process.start()
        return Forked(process)


class Forked:
    """A process as `subprocess` has them."""

    def __init__(self, process):
        self._process, self.pid = process, process.pid

    @property
    def returncode(self):
        """None while it runs."""
        return self._process.exitcode

    def poll(self):
        """None while it runs."""
        return self.returncode

    def wait(self, timeout=None):
        """Its exit code. Raises TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("calyx", timeout)
        return self.returncode

    def send_signal(self, number):
        """Nothing happens to one that has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self):
        """As a machine that loses its power."""
        self.send_signal(signal.SIGKILL)


def _become(command, place, environment, log):
    """Turn this process into one that `command` has started."""
    namespace, folder = place
    if namespace is not None:
        with Path("/run/netns", namespace).open() as entry:
            if ctypes.CDLL(None, use_errno=True).setns(entry.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the first one was given
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if command[0] == sys.executable:
        sys.argv = [word for word in command[1:] if word != "-P"]  # which holds here anyway
        runpy.run_path(sys.argv[0], run_name="__main__")
        return
    from calyx.cli.main import run

    sys.argv = command
    sys.exit(run(command[1:]))


class Lines:
    """Waits for what a log says next."""

    def __init__(self, fleet, name):
        self._fleet, self._name = fleet, name
        self._at = len(fleet.said(name))

    def wait(self, text, seconds=120):
        """Until the log says it, after what was waited for before."""
        wait_for(lambda: text in self._fleet.said(self._name)[self._at :], seconds)
        self._at += self._fleet.said(self._name)[self._at :].index(text) + len(text)

    def wait_answered(self, stage):
        """Until the site has answered a message of this kind."""
        self.wait(f"{stage:<16}  answered")


def children(process):
    """Of a process what it started and has not ended: id → command line."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line.split(maxsplit=1) for line in listed.splitlines()]
    return {int(pid): words for pid, words in rows if "<defunct>" not in words}
