"""What the phases of a run hand to one another, and the federation that trains with it."""

from dataclasses import dataclass

from calyx.model.makeup import Makeup, makeup_of
from calyx.model.weights import Weights, initial_model
from calyx.preprocessing.choice import Choice
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import num_inputs
from calyx.questions.segments import Contents, weigh
from calyx.run.folder import RunFolder
from calyx.run.order import Terms
from calyx.tasks.task import Task
from server.checkpoints import RunState
from server.config import RunConfig
from server.counted import Counted
from server.exchange.underway import Underway
from server.federation import Clients, Federation, Training
from server.job import Engine
from strategies.base import AlgorithmStrategy, make_strategy
from strategies.flower import StockStrategy
from strategies.local import contents_of, load_objective


@dataclass(frozen=True)
class InitialModel:
    """The model before round 1, which every party derives from the seed, and what is sent of it."""

    makeup: Makeup
    template: Weights  # names, shapes and types of the model and of what travels beside it
    contents: Contents  # what clients add up


def make_initial(
    task: Task, terms: Terms, cfg: PreprocessingConfig, fold: int | None = None
) -> InitialModel:
    """The model of a run, or of one of its folds. It is built here, and nowhere else on the server.

    Raises ConfigError for a strategy that does not suit it.
    """
    objective = load_objective(terms.strategy.name, terms.strategy.local)
    width = num_inputs(task.schema, cfg)
    makeup = makeup_of(initial_model(task, width, terms.seed, fold), width)
    contents = contents_of(task, makeup, objective, terms.training)
    return InitialModel(makeup, makeup.weights | objective.beside(makeup.parameters), contents)


@dataclass(frozen=True)
class RunContext:
    """A run between two phases. A phase returns it with what it has found out."""

    run: RunConfig
    engine: Engine
    folder: RunFolder
    clients: Clients
    task: Task
    initial: InitialModel
    state: RunState
    choice: Choice  # of the preprocessing, which falls back where sums turn out to lack
    preprocessing: PreprocessingConfig  # with constants, once they are fitted
    terms: Terms  # what all orders have in common, from the audit on: constants, a client's weight
    counted: Counted | None = None  # from the audit
    why: str = ""  # training has ended

    @property
    def contents(self) -> Contents:
        """What clients add up, and how much one of them may weigh."""
        return weigh(self.initial.contents, self.terms)

    def federation(self, run_id: str, terms: Terms, template: Weights) -> Federation:
        """Of a question beside the training, whose orders carry this id and these terms."""
        return Federation(
            run=self.run,
            run_id=run_id,
            clients=self.clients,
            terms=terms,
            contents=self.contents,
            template=template,
            folder=self.folder,
            underway=self._underway(run_id, self.folder),
        )

    def training(self) -> Training:
        """Of the run itself."""
        return self.training_from(self.state, self.initial, self.folder)

    def training_from(self, state: RunState, initial: InitialModel, folder: RunFolder) -> Training:
        """Of what goes on from `state`: the run itself, or one of its folds."""
        clients = sum(map(len, self.clients.dealt))
        strategy = _strategy(self.run, self.terms, initial, clients)
        strategy.state = state.strategy
        return Training(
            run=self.run,
            run_id=state.run,
            clients=self.clients,
            terms=self.terms,
            contents=self.contents,
            template=initial.template,
            folder=folder,
            underway=self._underway(state.run, folder),
            strategy=strategy,
            model=frozenset(initial.makeup.weights),
        )

    def _underway(self, run_id: str, folder: RunFolder) -> Underway | None:
        """Where sites remember what they were asked for; a simulation's clients are made anew."""
        roster = self.clients.roster
        if roster is None or not self.engine.clients_remember:
            return None
        path = folder.path / f"underway{run_id.removeprefix(self.state.run)}"
        return Underway(path, run_id, roster)


def begin_state(
    run: RunConfig, terms: Terms, initial: InitialModel, run_id: str, digest: str
) -> RunState:
    """Before round 1. Raises ConfigError for a strategy that cannot be run."""
    strategy = _strategy(run, terms, initial)
    return RunState(
        run=run_id,
        config=digest,
        round=0,
        weights=initial.template,
        strategy=strategy.state,
        best=None,
    )


def _strategy(
    run: RunConfig, terms: Terms, initial: InitialModel, clients: int | None = None
) -> AlgorithmStrategy | StockStrategy:
    own, privacy = run.strategy.server, run.privacy
    return make_strategy(terms, own, privacy, initial.template, initial.makeup, clients=clients)
