"""A small federation in this process: real clients, the embedded grid without workers."""

from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

from flwr.app import ConfigRecord

from calyx.composing.compose import compose, resolve
from calyx.model.makeup import makeup_of
from calyx.model.weights import initial_model
from calyx.preprocessing.fitting import num_inputs
from calyx.run.folder import RunFolder
from calyx.secagg.roster import read_roster
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.engine import read_engine
from calyx.simulation.identities import throw_away
from calyx.simulation.planning import plan
from calyx.simulation.workers import WorkerPool
from calyx.wire import records
from server import federation as server_federation
from server.exchange.cohort_grid import CohortGrid
from server.exchange.exchange import Exchange
from server.exchange.nodes import read_nodes
from server.exchange.sending import Channel
from server.exchange.watch import Watch
from strategies.local import LocalObjective, contents_of


class Silent:
    """An onlooker that does not look."""

    def on_answer(self, client, answer):
        """Nothing."""

    def on_death(self, client, reason):
        """Nothing."""

    def on_progress(self, kind, done, total):
        """Nothing."""


@cache
def config_of(*words):
    """The config of a command line; composing one takes half as long as a small run."""
    return resolve(compose(list(words)))


class Federation:
    """Three clients of digits, and the pieces that an exchange needs."""

    def __init__(self, *overrides, store=None):
        small = ["engine.workers=0", "training.epochs=1"]
        if not any(word.startswith("task=") for word in overrides):
            small.append("task.num_clients=3")
        if "privacy=secagg" not in overrides:
            small.append("privacy=none")
        remembers = (
            "engine=superlink" in overrides
        )  # as sites do; the clients are here all the same
        words = [word for word in overrides if word != "engine=superlink"]
        self.plan = plan(deepcopy(config_of(*small, *words)))
        if remembers:
            engine = {"name": "superlink", "workers": None, "cohort": False}
            self.plan = replace(
                self.plan,
                run=replace(self.plan.run, engine=engine),
                engine=read_engine(engine),
                config=self.plan.config | {"engine": engine},
            )
        run, task = self.plan.run, self.plan.task
        self.identities = throw_away(task.clients)
        self.inner = EmbeddedGrid(WorkerPool(0), self.identities, run.client, Silent(), store)
        width = num_inputs(task.schema, self.plan.preprocessing)
        makeup = makeup_of(initial_model(task, width, run.seed), width)
        self.template = makeup.weights
        self.is_encrypted = run.privacy.is_encrypted
        terms = self.plan.terms
        contents = contents_of(task, makeup, LocalObjective(), terms.training)
        if task.w_max is None:  # there is no audit before these exchanges
            terms, contents = replace(terms, w_max=256), replace(contents, w_max=256)
        self.nodes = read_nodes(self.inner, 60.0)
        roster = read_roster(self.identities.roster) if self.is_encrypted else None
        channel = Channel(self.inner, self.nodes, 60.0)
        self.setting = server_federation.Federation(
            run=replace(run, rounds=5, deadline_s=60.0),
            run_id="run",
            clients=server_federation.Clients(channel, roster, (), None),
            terms=terms,
            contents=contents,
            template=self.template,
            folder=RunFolder(Path("nowhere")),
            underway=None,
        )

    def over(self, grid, min_replies=None):
        """The setting over another grid, with another number of replies."""
        clients = self.setting.clients
        clients = replace(clients, channel=replace(clients.channel, grid=grid))
        run = replace(self.setting.run, min_replies=min_replies)
        return replace(self.setting, run=run, clients=clients, watch=Watch())

    def exchange(self, kind="train", groups=None):
        """The first round, with all clients in one group or in the groups given."""
        return Exchange(kind, 1, groups or (tuple(self.nodes),))

    def attempt(self, strategy, exchange, setting=None, weights=None):
        """The answer to an exchange that this strategy configures."""
        grid = CohortGrid(setting or self.setting, exchange)
        configure = (
            strategy.configure_train if exchange.kind == "train" else strategy.configure_evaluate
        )
        arrays = records.weights_record(weights or self.template)
        return grid.attempt(configure(exchange.round, arrays, ConfigRecord(), grid))
