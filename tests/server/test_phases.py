"""Audit, federated preprocessing and cross-validation with the real server and real clients."""

import json

import numpy as np
import pytest
from support.federation import Federation
from support.taps import Tap, run_server

from calyx.errors import CalyxError, ConfigError, RoundFailed
from calyx.files.plain import read_lines
from calyx.findings.figures import read_sums
from calyx.model.released import without_constants
from calyx.model.weights import load_weights
from calyx.questions.statistics import survey_of
from client.rows.data import read_rows
from server.counted import read_counted
from server.phase_order import check_phases
from server.phases.audit import AuditFailed

ALL_PHASES = ["audit", "preprocess", "train", "validate", "release"]
SIX = ("task.num_clients=6", "client.policy.min_cell=1", "audit.thorough=false")
HEART = ("task=heart", "client.policy.min_cell=1")


def heart(heart_dir, *overrides):
    return Federation(*HEART, f"task.data_dir={heart_dir}", *overrides)


def run(federation, folder, grid=None, **changes):
    inner = federation.inner if grid is None else grid
    return run_server(federation, inner, folder, **({"phases": ALL_PHASES, "rounds": 2} | changes))


def asked(tap, kind):
    """How many messages of a kind crossed: stage 0 is told by its order."""
    return sum(
        json.loads(content["order"]["order"])["kind"] == kind
        for stage, _, content in tap.sent
        if "order" in content
    )


def read(path):
    return json.loads(path.read_text())


def test_encrypted_sums_are_the_plain_ones_and_those_of_all_rows(tmp_path):
    federation = Federation("privacy=secagg", *SIX)
    plain = Federation(*SIX)
    run(federation, tmp_path / "secagg", phases=["audit"])
    run(plain, tmp_path / "plain", phases=["audit"])
    audits = [read(tmp_path / name / "audit.json") for name in ("secagg", "plain")]
    assert audits[0] == audits[1]
    terms, task = federation.setting.terms, federation.plan.task
    tables = [read_rows(terms, name, None).table for name in federation.nodes]
    assert audits[0]["rows"] == sum(map(len, tables))
    assert audits[0]["labels"] == np.bincount(np.concatenate([t.y for t in tables])).tolist()
    counted = read_counted(tmp_path / "secagg" / "statistics.json")
    survey = survey_of(task, terms, federation.plan.run.privacy)
    found = read_sums(counted.sums, survey, counted.sites)
    x = np.concatenate([t.x for t in tables])
    for i, column in enumerate(found.variables):
        if len(column.variable.columns) == 1 and column.numbers:
            assert column.numbers.mean == pytest.approx(x[:, i].mean(), abs=1e-8)


def test_an_audit_alone_is_a_finished_run_of_no_rounds(tmp_path):
    run(Federation(*SIX), tmp_path / "run", phases=["audit"])
    summary = read(tmp_path / "run" / "summary.json")
    assert summary["stopped_because"] == "the audit is done"
    assert set(summary["findings"]) == {"error", "warning", "info"}
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_resumed_run_asks_for_no_statistics_again(tmp_path):
    federation = Federation("privacy=secagg", *SIX)
    tap = Tap(federation.inner)
    run(federation, tmp_path / "run", tap)
    assert asked(tap, "statistics") == 6
    run(federation, tmp_path / "run", tap, resume=True, rounds=3)
    assert asked(tap, "statistics") == 6


def test_grave_findings_stop_a_run_which_can_go_on_by_the_users_word(heart_dir, tmp_path):
    federation, folder = heart(heart_dir), tmp_path / "run"
    strict = {"bins": 16, "fail_on": "warning", "baseline": None, "thorough": None}
    with pytest.raises(AuditFailed, match=r"audit\.fail_on=never"):
        run(federation, folder, audit=strict)
    assert read(folder / "audit.json")["findings"][0]["severity"] == "warning"
    assert not (folder / "rounds.jsonl").exists()
    run(federation, folder, resume=True, audit=strict | {"fail_on": "never"})
    assert read(folder / "summary.json")["rounds"] == 2


def test_the_real_faults_of_heart_are_found_and_none_is_an_error(heart_dir, tmp_path):
    run(heart(heart_dir), tmp_path / "run", phases=["audit"])
    audit = read(tmp_path / "run" / "audit.json")
    found = {(f["check"], f["column"]) for f in audit["findings"]}
    assert {
        ("mostly-missing", "ca"),
        ("mostly-missing", "thal"),
        ("unevenly-missing", "slope"),
    } <= found
    assert {("coded-missing", "chol"), ("label-shift", None)} <= found
    assert audit["columns"]["chol"]["missing"] == 202
    assert audit["columns"]["chol"]["coded_missing"] == 172
    assert audit["columns"]["ca"]["missing"] == 611
    assert audit["label_spread"][1]["sd"] == pytest.approx(0.228, abs=0.005)
    assert "error" not in {f["severity"] for f in audit["findings"]}


def test_federated_constants_are_those_of_the_pooled_training_rows_and_go_with_the_model(
    heart_dir, tmp_path
):
    federation = heart(heart_dir, "preprocessing=federated")
    run(federation, tmp_path / "run")
    _, constants = without_constants(load_weights(tmp_path / "run" / "model.safetensors"))
    terms = federation.setting.terms
    train = [read_rows(terms, n, heart_dir).parts["train"].x for n in federation.nodes]
    chol = np.concatenate(train)[:, 4]
    chol = chol[(chol > 0) & ~np.isnan(chol)]
    fill, _, high, mean, scale = constants[4]
    assert mean == pytest.approx(chol.mean(), abs=1e-5)
    assert scale == pytest.approx(chol.std(), abs=1e-4)
    width = (610 - 80) / 16
    assert fill == pytest.approx(np.median(chol), abs=width)
    q1, q3 = np.quantile(chol, [0.25, 0.75])
    assert high == pytest.approx(q3 + 3 * (q3 - q1), abs=7 * width)


def test_the_default_is_everybodys_constants_and_falls_back_where_no_site_gives_sums(
    heart_dir, tmp_path
):
    models, said = {}, {}
    for how in ("federated", "auto", "local", "auto client.policy.statistics=[]"):
        folder = tmp_path / how.replace(" ", "-")
        run(heart(heart_dir, *f"preprocessing={how}".split()), folder)
        summary = read(folder / "summary.json")
        models[how] = (folder / "model.safetensors").read_bytes(), summary["preprocessing"]
        said[how] = summary.get("preprocessing_why")
    federated, auto, local, fallen = models.values()
    assert auto == federated
    assert fallen == local
    assert [how for how, why in said.items() if why] == ["auto client.policy.statistics=[]"]
    events = [e for e in read_lines(folder / "events.jsonl") if e["event"] == "preprocessing"]
    assert [e["severity"] for e in events] == ["warning"]
    assert said[how] in events[0]["message"]
    run(heart(heart_dir, *f"preprocessing={how}".split()), folder, resume=True, rounds=3)
    assert read(folder / "summary.json")["preprocessing"] == "local"
    assert [e["event"] for e in read_lines(folder / "events.jsonl")].count("preprocessing") == 1


def test_folds_that_no_site_gives_sums_of_leave_the_whole_run_to_each_clients_own(
    heart_dir, tmp_path
):
    """Two hospitals have 150 training rows; of a half of its rows none has as many."""
    federation, said = heart(heart_dir, "client.policy.min_cell=150"), {}
    for k in (None, 2):
        run(federation, tmp_path / str(k), cv={"k": k}, rounds=1)
        said[k] = read(tmp_path / str(k) / "summary.json")
    assert {k: one["preprocessing"] for k, one in said.items()} == {None: "federated", 2: "local"}
    assert said[2]["preprocessing_why"].startswith("No site gives ")
    assert said[2]["cv"]["scored"] == 2
    assert "folds-share-constants" not in (tmp_path / "2" / "events.jsonl").read_text()


def test_constants_that_no_site_gives_sums_for_stop_a_run_before_it_trains(heart_dir, tmp_path):
    federation = heart(heart_dir, "preprocessing=federated", "client.policy.statistics=[]")
    tap = Tap(federation.inner)
    with pytest.raises(
        ConfigError, match=r"no site gives .* of age, sex, .* Use preprocessing=local"
    ):
        run(federation, tmp_path / "run", tap)
    assert asked(tap, "train") == 0


def test_hearts_sites_that_hide_small_cells_train_with_federated_constants(heart_dir, tmp_path):
    """Only one of them shows values of ca then: its constants are those of the declared range."""
    federation = heart(heart_dir, "preprocessing=federated", "client.policy.min_cell=10")
    run(federation, tmp_path / "run")
    audit = read(tmp_path / "run" / "audit.json")
    assert ("single-site", "ca") in {(f["check"], f["column"]) for f in audit["findings"]}
    ca = audit["columns"]["ca"]
    assert {ca[name] for name in ("mean", "sd", "association", "histogram")} == {None}
    _, constants = without_constants(load_weights(tmp_path / "run" / "model.safetensors"))
    place = [c.name for c in federation.plan.task.schema.columns].index("ca")
    low, high = ca["range"]
    assert constants[place][3:] == ((low + high) / 2, (high - low) / 2)


def test_federated_preprocessing_gives_the_same_bytes_encrypted_and_after_a_resume(
    heart_dir, tmp_path
):
    digests = set()
    for name, privacy in (("plain", "privacy=none"), ("secagg", "privacy=secagg")):
        federation = heart(heart_dir, privacy, "preprocessing=federated")
        run(federation, tmp_path / name)
        digests.add(read(tmp_path / name / "summary.json")["model_sha256"])
    federation = heart(heart_dir, "preprocessing=federated")
    run(federation, tmp_path / "resumed", rounds=1)
    run(federation, tmp_path / "resumed", resume=True)
    digests.add(read(tmp_path / "resumed" / "summary.json")["model_sha256"])
    assert len(digests) == 1


def test_folds_are_scored_alike_encrypted_and_after_a_stop(heart_dir, tmp_path):
    found = []
    for name, privacy in (("plain", "privacy=none"), ("secagg", "privacy=secagg")):
        federation = heart(heart_dir, privacy, "preprocessing=federated")
        run(federation, tmp_path / name, cv={"k": 3})
        found.append(read(tmp_path / name / "summary.json")["cv"])
    federation = heart(heart_dir, "preprocessing=federated")
    tap = Tap(federation.inner)
    tap.request = lambda m: None if in_fold(m, "-fold-1") else m
    with pytest.raises(RoundFailed):
        run(federation, tmp_path / "stopped", tap, cv={"k": 3})
    tap.request = lambda m: m
    before = len(tap.sent)
    run(federation, tmp_path / "stopped", tap, cv={"k": 3}, resume=True)
    assert not any(run_of(c).endswith("-fold-0") for _, _, c in tap.sent[before:])
    found.append(read(tmp_path / "stopped" / "summary.json")["cv"])
    assert found[0] == found[1] == found[2]
    assert (found[0]["k"], len(found[0]["folds"])) == (3, 3)
    assert found[0]["mean"] == pytest.approx(np.mean(found[0]["folds"]))
    assert found[0]["sd"] == pytest.approx(np.std(found[0]["folds"], ddof=1))


def run_of(content):
    return json.loads(content["order"]["order"])["run"] if "order" in content else ""


def in_fold(message, name):
    return run_of(message.content).endswith(name)


def test_a_client_that_is_left_out_is_in_no_sum_of_its_fold_but_the_scoring(heart_dir, tmp_path):
    federation = heart(
        heart_dir, "privacy=secagg", "privacy.n_min=3", "privacy.h_min=2", "cv.k=clients"
    )
    tap = Tap(federation.inner)
    run(federation, tmp_path / "run", tap, cv={"k": "clients"})
    names = {node: name for name, node in federation.nodes.items()}
    for fold, left_out in enumerate(sorted(federation.nodes)):
        took_part = {names[n] for _, n, c in tap.sent if run_of(c).endswith(f"-fold-{fold}")}
        assert took_part == set(federation.nodes) - {left_out}
    scored = {names[n] for _, n, c in tap.sent if run_of(c).endswith("-cv")}
    assert scored == set(federation.nodes)
    cv = read(tmp_path / "run" / "summary.json")["cv"]
    assert cv["k"] == "clients"
    assert cv["folds"] is None  # nobody looks on here, and sums tell no single client's score
    assert 0.4 < cv["mean"] < 1


def test_a_cohort_of_all_clients_cannot_leave_one_out():
    with pytest.raises(ConfigError, match=r"cv\.k=clients leaves one client out.*cohort_size=6"):
        Federation("task.num_clients=6", "cv.k=clients", "cohort_size=6")


def test_a_fold_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path):
    folder = tmp_path / "run"
    (folder / "folds" / "1" / "checkpoints" / ".round-000000.part").mkdir(parents=True)
    run(Federation(*SIX), folder, cv={"k": 2})
    assert len(read(folder / "summary.json")["cv"]["folds"]) == 2


def test_constants_of_folds_are_of_folds_that_the_runs_own_seed_deals(heart_dir, tmp_path):
    federation, folder = heart(heart_dir, "preprocessing=federated"), tmp_path / "run"
    cv = {"k": 2}
    run(federation, folder, cv=cv, phases=["audit"])
    kept = read(folder / "statistics.json")
    assert (kept["folds"], kept["seed"]) == (2, 1)
    (folder / "statistics.json").write_text(json.dumps(kept | {"seed": 7}))
    (folder / "summary.json").unlink()
    run(federation, folder, cv=cv, resume=True)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert "folds-share-constants" in {e["event"] for e in events}


def test_leaving_a_client_out_needs_one_more_than_a_sum():
    with pytest.raises(ConfigError, match=r"cv\.k=clients leaves one client out"):
        Federation("task=heart", "privacy=secagg", "cv.k=clients")


@pytest.mark.parametrize(
    ("phases", "preprocessing"),
    [
        ([], "local"),
        (["train"], "local"),
        (["audit", "audit"], "local"),
        (["audit", "tidy"], "local"),
        (["preprocess", "audit", "train", "validate", "release"], "federated"),
        (["preprocess", "train"], "local"),
        (["preprocess"], "local"),
        (["preprocess", "train", "release", "validate"], "local"),
    ],
)
def test_phases_in_an_impossible_order_are_refused(phases, preprocessing):
    with pytest.raises(ConfigError):
        check_phases(phases, preprocessing)


def test_a_damaged_file_of_sums_is_one_sentence(tmp_path):
    federation, folder = Federation(*SIX), tmp_path / "run"
    run(federation, folder)
    (folder / "statistics.json").write_text('{"sites": 6, "sums":')
    with pytest.raises(CalyxError, match="damaged; remove it"):
        run(federation, folder, resume=True, rounds=3)
