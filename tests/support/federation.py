"""A small federation in this process: real clients, the embedded grid without workers."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

from flwr.app import ConfigRecord

from calyx.composing.compose import compose, resolve
from calyx.config.section import parse
from calyx.model.makeup import makeup_of
from calyx.model.weights import initial_model
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import num_inputs
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import terms_of
from calyx.secagg.roster import read_roster
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.identities import throw_away
from calyx.simulation.planning import plan
from calyx.simulation.workers import WorkerPool
from calyx.wire import records
from server.exchange.cohort_grid import CohortGrid
from server.exchange.exchange import Exchange
from server.exchange.nodes import read_nodes
from server.exchange.sending import Channel
from server.exchange.setting import Setting
from server.exchange.watch import Watch
from strategies.local import LocalObjective, contents_of


class Silent:
    """An onlooker that does not look."""

    def on_answer(self, client, answer):
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
            engine = {"name": "superlink", "workers": None}
            self.plan = replace(
                self.plan,
                run=replace(self.plan.run, engine=engine),
                config=self.plan.config | {"engine": engine},
            )
        run, task = self.plan.run, self.plan.task
        self.identities = throw_away(task.clients)
        self.inner = EmbeddedGrid(WorkerPool(0), self.identities, run.client, Silent(), store)
        preprocessing = parse(PreprocessingConfig, run.preprocessing, "preprocessing")
        width = num_inputs(task.schema, preprocessing)
        makeup = makeup_of(initial_model(task, width, run.seed), width)
        self.template = makeup.weights
        privacy = parse(PrivacyConfig, run.privacy, "privacy")
        self.is_encrypted = privacy.is_encrypted
        terms = terms_of(run)
        contents = contents_of(task, makeup, LocalObjective(), run.training)
        if task.w_max is None:  # there is no audit before these exchanges
            terms, contents = replace(terms, w_max=256), replace(contents, w_max=256)
        self.nodes = read_nodes(self.inner, 60.0)
        self.setting = Setting(
            run="run",
            channel=Channel(self.inner, self.nodes, 60.0),
            terms=terms,
            contents=contents,
            privacy=privacy,
            template=self.template,
            rounds=5,
            min_replies=None,
            roster=read_roster(self.identities.roster) if self.is_encrypted else None,
        )

    def over(self, grid, min_replies=None):
        """The setting over another grid, with another number of replies."""
        channel = replace(self.setting.channel, grid=grid)
        return replace(self.setting, channel=channel, min_replies=min_replies, watch=Watch())

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
