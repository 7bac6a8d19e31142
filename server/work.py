"""What the phases of a run hand to one another, and the federation that trains with it."""

from dataclasses import dataclass, replace

from flwr.serverapp import Grid

from calyx.config.section import RunConfig, Section, parse
from calyx.findings.figures import Sums
from calyx.model.makeup import Makeup, makeup_of
from calyx.model.weights import Weights, initial_model
from calyx.preprocessing.choice import Choice
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import num_inputs
from calyx.privacy.section import PrivacyConfig
from calyx.questions.layouts import Contents, weighed
from calyx.run.folder import RunFolder
from calyx.run.order import Cv, Terms, terms_of
from calyx.secagg.roster import Roster
from calyx.tasks.task import Task
from server.checkpoints import RunState
from server.exchange.nodes import Nodes
from server.exchange.sending import Channel
from server.exchange.setting import Setting
from server.exchange.underway import Underway
from server.federation import Federation, Place
from server.sampling import Groups, deal_groups, present
from strategies.base import make_strategy
from strategies.loading import load_objective
from strategies.local import contents_of


@dataclass(frozen=True)
class Counted:
    """The sums of a survey, over how many sites, of how many folds beside all rows, by which seed."""

    sums: Sums
    sites: int
    folds: int
    seed: int  # deals training parts and folds


@dataclass(frozen=True)
class Work:
    """A run between two phases. What a phase finds out is in the fields after `state`."""

    run: RunConfig
    folder: RunFolder
    inner: Grid
    nodes: Nodes  # of the clients that may take part
    roster: Roster | None
    task: Task
    state: RunState
    choice: Choice  # of the preprocessing; `run` carries its section
    counted: Counted | None = None  # from the audit
    preprocessing: Section | None = None  # as orders carry it, once it is known
    w_max: int | None = None  # largest weight of a client, where it follows the federation
    why: str = ""  # training has ended

    @property
    def dealt(self) -> Groups:
        """All clients that are there, in their groups."""
        if self.state.members is None:
            return deal_groups(list(self.nodes), self.privacy.groups, self.run.seed)
        return present(self.state.members, self.nodes)

    @property
    def privacy(self) -> PrivacyConfig:
        """The section, typed."""
        return parse(PrivacyConfig, self.run.privacy, "privacy")

    @property
    def contents(self) -> Contents:
        """What clients add up."""
        return weighed(contents_for(self.run, self.task), self.terms())

    def terms(self, cv: Cv | None = None) -> Terms:
        """What all orders have in common, from the preprocessing on."""
        terms = terms_of(self.run)
        preprocessing = self.preprocessing or terms.preprocessing
        return replace(terms, preprocessing=preprocessing, w_max=self.w_max, cv=cv)

    def place(self, run: str, terms: Terms, template: Weights, folder: RunFolder) -> Place:
        """Where exchanges of the run with this id happen."""
        # Sites remember what they were asked for; a simulation's clients are made anew.
        lasting = self.run.engine["name"] == "superlink"
        path = folder.path / f"underway{run.removeprefix(self.state.run)}"
        setting = Setting(
            run=run,
            channel=Channel(self.inner, self.nodes, self.run.deadline_s),
            terms=terms,
            contents=self.contents,
            privacy=self.privacy,
            template=template,
            rounds=self.run.rounds,
            min_replies=self.run.min_replies,
            roster=self.roster,
            members=self.state.members,
            underway=Underway(path, run, self.roster) if self.roster and lasting else None,
        )
        return Place(self.run, setting, folder)

    def federation(self) -> Federation:
        """Of the run's own training."""
        return self.trained_in(self.folder, self.state, None, self.dealt)

    def trained_in(
        self, folder: RunFolder, state: RunState, cv: Cv | None, dealt: Groups
    ) -> Federation:
        """Of a training that goes on from `state`: the run's own, or a fold's."""
        fold = cv.fold if cv else None
        template = initial_template(self.run, self.task, fold)
        place = self.place(state.run, self.terms(cv), template, folder)
        clients = sum(map(len, dealt))
        makeup = initial_makeup(self.run, self.task, fold)
        strategy = make_strategy(self.run, self.privacy, template, makeup, clients)
        strategy.state = state.strategy
        own = frozenset(makeup.weights)
        return Federation(place.run, place.setting, folder, strategy, dealt, template, own)


def contents_for(run: RunConfig, task: Task) -> Contents:
    """What the clients of a run add up. Raises ConfigError for a strategy that does not suit."""
    objective = load_objective(run.strategy.name, run.strategy.local)
    return contents_of(task, initial_makeup(run, task), objective, run.training)


def initial_makeup(run: RunConfig, task: Task, fold: int | None = None) -> Makeup:
    """The model before round 1, which every party derives from the seed, or from a fold's too."""
    cfg = parse(PreprocessingConfig, run.preprocessing, "preprocessing")
    width = num_inputs(task.schema, cfg)
    return makeup_of(initial_model(task, width, run.seed, fold), width)


def initial_template(run: RunConfig, task: Task, fold: int | None = None) -> Weights:
    """Its weights, with what travels beside the model."""
    makeup = initial_makeup(run, task, fold)
    objective = load_objective(run.strategy.name, run.strategy.local)
    return makeup.weights | objective.beside(makeup.parameters)


def fresh_state(run: RunConfig, task: Task, name: str, config: str, fold: int | None) -> RunState:
    """Before round 1 of the run called `name`. Raises ConfigError for a strategy that does not suit."""
    contents_for(run, task)
    template, makeup = initial_template(run, task, fold), initial_makeup(run, task, fold)
    privacy = parse(PrivacyConfig, run.privacy, "privacy")
    strategy = make_strategy(run, privacy, template, makeup)
    return RunState(
        run=name, config=config, round=0, weights=template, strategy=strategy.state, best=None
    )
