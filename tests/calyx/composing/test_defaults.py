"""Settings that follow from others: filled in where they are null, and checked where they are not."""

import numpy as np
import pytest

from calyx.composing.compose import compose, resolve
from calyx.composing.defaults import fill_in_defaults, learning_rate
from calyx.data.schema import Column, Schema, Target
from calyx.errors import ConfigError
from calyx.model.metrics import better_is
from server.config import read_run
from server.phases.train import settings_of


def settled(*words):
    config = resolve(compose(list(words)))
    return read_run(config)


@pytest.mark.parametrize(
    ("words", "monitor", "mode"),
    [
        ([], "val_loss", "min"),
        (["stopping.monitor=val_accuracy"], "val_accuracy", "max"),
        (["stopping.monitor=val_r2"], "val_r2", "max"),
        (["stopping.monitor=val_rmse"], "val_rmse", "min"),
        (["stopping.monitor=val_personal_accuracy"], "val_personal_accuracy", "max"),
        (["stopping.mode=min"], "val_loss", "min"),
        (["strategy=ditto"], "val_personal_loss", "min"),
        (["strategy=ditto", "stopping.monitor=val_loss"], "val_loss", "min"),
        (["strategy=fedbn"], "val_loss", "min"),  # which is each client's own model's already
        (["strategy=flower"], "val_loss", "min"),
    ],
)
def test_what_is_watched_follows_the_strategy_and_its_direction_the_monitor(words, monitor, mode):
    stopping = settled(*words).stopping
    assert (stopping.monitor, stopping.mode) == (monitor, mode)


@pytest.mark.parametrize(
    ("words", "monitor", "mode"),
    [
        (["stopping.mode=max"], "val_loss", "min"),
        (["stopping.monitor=val_accuracy", "stopping.mode=min"], "val_accuracy", "max"),
        (["stopping.monitor=val_mae", "stopping.mode=max"], "val_mae", "min"),
        (["strategy=ditto", "stopping.mode=max"], "val_personal_loss", "min"),
    ],
)
def test_a_direction_that_contradicts_the_monitor_is_refused(words, monitor, mode):
    with pytest.raises(ConfigError, match=f"monitor={monitor} needs stopping.mode={mode}"):
        settled(*words)


@pytest.mark.parametrize("words", [["stopping.monitor=5"], ["stopping.monitor=loss"]])
def test_a_monitor_that_there_is_not_is_refused_by_its_key(words):
    with pytest.raises(ConfigError, match=r"stopping\.monitor is .*must be 'val_loss'"):
        settled(*words)


@pytest.mark.parametrize(
    ("words", "objective"),
    [
        ([], "val_loss"),
        (["stopping.monitor=val_accuracy"], "val_accuracy"),
        (["stopping.objective=val_accuracy"], "val_accuracy"),
        (["strategy=ditto"], "val_personal_accuracy"),
        (["strategy=ditto", "stopping.monitor=val_personal_loss"], "val_personal_loss"),
        (["strategy=ditto", "stopping.objective=val_loss"], "val_loss"),
    ],
)
def test_runs_are_compared_by_what_is_watched_and_own_classifiers_by_accuracy(words, objective):
    assert settled(*words).stopping.objective == objective


@pytest.mark.parametrize(
    ("words", "evaluate"),
    [
        ([], "with_training"),
        (["cohort_size=10"], "with_training"),
        (["cohort_size=9"], "separate"),
        (["cohort_size=9", "evaluate=with_training"], "with_training"),
        (["evaluate=separate"], "separate"),
        (["cohort_size=9", "task.num_clients=9"], "with_training"),
    ],
)
def test_everybody_validates_each_round_unless_it_is_written_otherwise(words, evaluate):
    assert settled(*words).evaluate == evaluate


def test_every_figure_has_its_direction():
    larger = [
        name
        for name in ("loss", "accuracy", "r2", "rmse", "mae")
        if better_is(f"val_{name}") == "max"
    ]
    assert larger == ["accuracy", "r2"]


@pytest.mark.parametrize(
    ("words", "room"),
    [
        ([], 128),
        (["task.num_clients=128"], 128),
        (["task.num_clients=129"], 256),
        (["task.num_clients=129", "privacy.groups=2"], 128),
        (["task.num_clients=129", "privacy.groups=all"], 128),
        (["task.num_clients=400"], 512),
        (["task.num_clients=700"], 512),  # which is refused where sizes are checked
        (["task.num_clients=700", "cohort_size=70"], 128),
        (["task.num_clients=700", "cohort_size=70", "engine=superlink"], 512),  # asked all at once
        (["task.num_clients=200", "privacy.n_max=300"], 300),
    ],
)
def test_a_sum_has_room_for_the_clients_that_there_are(words, room):
    """200 clients are no mistake of who has never heard of a sum's room."""
    small = ["privacy=none", "task.min_rows=1", "task.partition=iid"]
    assert settled(*small, *words).privacy.n_max == room


@pytest.mark.parametrize(
    ("words", "sampling"),
    [
        ([], "adversarial"),
        (["cohort_size=103"], "adversarial"),
        (["cohort_size=102"], "trusted"),  # C = 100: 103 clients are needed, 100 and 3 honest ones
        (["cohort_size=102", "engine=superlink"], "adversarial"),
        (["cohort_size=102", "privacy.sampling=adversarial"], "adversarial"),
        (["cohort_size=102", "privacy=none"], "adversarial"),
        (["cohort_size=102", "client.policy.sampling=adversarial"], "adversarial"),
        (["cohort_size=6"], "adversarial"),  # too few for either, and refused for what sites need
        (["cohort_size=103", "privacy.n_max=103", "census_size=190"], "trusted"),  # two sums of 95
    ],
)
def test_a_simulation_whose_sums_are_too_small_for_sites_trusts_its_own_sampling(words, sampling):
    run = settled("task.num_clients=1000", "task.min_rows=1", "task.partition=iid", *words)
    assert run.privacy.sampling == sampling
    assert run.client["policy"]["sampling"] == sampling


def schema_of(columns, classes=("a", "b")):
    """Numeric columns, and classes or, without any, a number."""
    target = None if classes else Target("cost", 100, 50)
    named = tuple(Column(f"c{i}", "numeric") for i in range(columns))
    return Schema(named, classes, target)


@pytest.mark.parametrize(
    ("classes", "is_linear", "columns", "lr"),
    [
        (("a", "b"), False, 2, 0.1),
        (("a", "b"), False, 300, 0.1),
        (("a", "b"), True, 100, 0.1),
        (("a", "b"), True, 400, 0.025),  # 10 / 400
        ((), False, 2, 0.05),
        ((), False, 100, 0.05),  # 5 / 100
        ((), False, 300, 0.0167),  # 5 / 300
        ((), True, 20, 0.05),  # 1 / 20
        ((), True, 50, 0.02),
        ((), True, 5000, 0.001),  # what a site's policy allows at least
        ((), False, 0, 0.05),
    ],
)
def test_the_learning_rate_follows_the_target_and_the_columns(classes, is_linear, columns, lr):
    assert learning_rate(schema_of(columns, classes), is_linear=is_linear) == lr


@pytest.mark.parametrize("columns", [20, 100, 300])
def test_a_linear_model_of_many_columns_that_say_the_same_converges(columns):
    """By NumPy alone: descent on squared errors of batches of 8, where the longest steps diverge."""
    draw = np.random.default_rng(columns)
    shared = draw.normal(size=(400, 1))
    x = 0.8 * shared + 0.6 * draw.normal(size=(400, columns))  # each of mean square 1
    y = shared[:, 0] + 0.1 * draw.normal(size=400)

    def error_after_epochs(lr):
        w = np.zeros(columns)
        for rows in np.tile(np.arange(400).reshape(50, 8), (10, 1)):
            w -= lr * 2 * x[rows].T @ (x[rows] @ w - y[rows]) / 8
        return np.mean((x @ w - y) ** 2)

    lr = learning_rate(schema_of(columns, ()), is_linear=True)
    with np.errstate(over="ignore", invalid="ignore"):
        assert error_after_epochs(lr) < 0.2  # the target's mean square is 1
        assert not error_after_epochs(5 * lr) < 1


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Five sites of a number, 120 columns."""
    folder = tmp_path_factory.mktemp("rows")
    names = [f"c{i}" for i in range(120)]
    for i in range(5):
        (folder / f"site-{i}.csv").write_text(",".join([*names, "cost"]) + "\n")
    columns = "".join(f"  {name}: {{kind: numeric}}\n" for name in names)
    target = "target: {name: cost, center: 100, scale: 50}\n"
    (folder / "schema.yaml").write_text(f"{target}columns:\n{columns}")
    return f"task.data_dir={folder}"


@pytest.mark.parametrize(
    ("words", "lr"),
    [
        ([], 0.0417),  # 5 / 120
        (["task.hidden=0"], 0.0083),  # 1 / 120
        (["training.lr=0.3"], 0.3),
        (["training.lr=null"], 0.0417),
    ],
)
def test_a_table_of_ones_own_gets_the_rules_learning_rate_unless_it_is_written(rows, words, lr):
    run = settled("task=csv", rows, *words)
    assert run.training.lr == lr
    assert (run.rounds, run.stopping.patience) == (100, 30)
    assert (run.training.epochs, run.training.batch_size) == (2, 8)


def test_what_is_filled_in_stays_when_a_run_goes_on(rows):
    config = resolve(compose(["task=csv", rows]))
    assert fill_in_defaults(config) == config
    before = config | {"training": config["training"] | {"lr": 0.2}}
    assert fill_in_defaults(before)["training"]["lr"] == 0.2


def test_other_tasks_keep_their_own_learning_rate_and_can_ask_for_the_rules():
    assert settled().training.lr == 0.5
    assert settled("training.lr=null").training.lr == 0.1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            [],
            "Training: 40 rounds at most, 2 local epochs in batches of 16, sgd with a learning rate of "
            "0.5; 10 rounds without a better val_loss end it.",
        ),
        (
            ["rounds=1", "training.optimizer=adam", "stopping.patience=5"],
            "Training: 1 round at most, 2 local epochs in batches of 16, adam with a learning rate of "
            "0.5; nothing ends it early.",
        ),
    ],
)
def test_how_a_run_trains_is_one_sentence(words, said):
    assert settings_of(settled(*words)) == said
