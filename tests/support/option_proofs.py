"""By key, `Class.field`: two values that make a difference, or the test elsewhere that shows it."""

from functools import partial

from calyx.config.section import parse
from calyx.simulation.engine import EmbeddedConfig, RayConfig
from support.option_effects import (
    dealt,
    harmed,
    parsed,
    prepared,
    promised,
    pulled,
    stepped,
    trained,
)

OPT = {"optimizer": "adam", "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 0.1}
ENGINE = {"name": "embedded", "workers": None, "cohort": False}
RAY = {"name": "ray", "workers": None, "address": None}
GROUPED = {"file": "a;k;g;y\n1;u;1;no\n2;v;1;yes\n3;u;2;no\n"}
QUOTED = 'a;k;y\n1;"u\n2;v;no\n3;u";no\n4;v;no\n'
COSTS = "a;k;b\n1;u;7\n2;v;8\n"
NUMBER = {"file": COSTS, "target": {"name": "b", "classes": [], "center": 0.0, "scale": 1.0}}
PRICED = NUMBER | {"file": COSTS.replace("7", "7 kg")}
SPLIT = {"file": "a;k;g;y\n1;u;train;no\n2;v;test;yes\n3;u;validation;no\n"}
PROOFS = {
    "TrainingConfig.epochs": (trained, {}, {"epochs": 1}),
    "TrainingConfig.batch_size": (trained, {}, {"batch_size": 4}),
    "TrainingConfig.lr": (trained, {}, {"lr": 0.1}),
    "TrainingConfig.optimizer": (trained, {}, {"optimizer": "adam"}),
    "TrainingConfig.momentum": (trained, {}, {"momentum": 0.5}),
    "TrainingConfig.weight_decay": (trained, {}, {"weight_decay": 0.1}),
    "EarlyStopping.patience": (trained, {"patience": None}, {"patience": 1}),
    "EarlyStopping.min_delta": (
        partial(trained, is_learnable=True),
        {},
        {"min_delta": 9.0},
    ),
    "HardwareConfig.precision": (trained, {}, {"precision": "bfloat16"}),
    "PreprocessingConfig.numeric_imputation": (prepared, {}, {"numeric_imputation": "constant"}),
    "PreprocessingConfig.categorical_imputation": (
        prepared,
        {},
        {"categorical_imputation": "constant"},
    ),
    "PreprocessingConfig.fill_value": (
        prepared,
        {"numeric_imputation": "constant"},
        {"numeric_imputation": "constant", "fill_value": 1.0},
    ),
    "PreprocessingConfig.scaling": (prepared, {}, {"scaling": "none"}),
    "PreprocessingConfig.outliers": (prepared, {}, {"outliers": "keep"}),
    "PreprocessingConfig.iqr_factor": (prepared, {}, {"iqr_factor": 1.0}),
    "PrivacyConfig.name": (promised, {}, {"name": "none"}),
    "PrivacyConfig.groups": (promised, {}, {"groups": 2}),
    "PrivacyConfig.bits": (promised, {}, {"bits": 24}),
    "PrivacyConfig.n_max": (promised, {}, {"n_max": 64}),
    "PrivacyConfig.clip": (promised, {}, {"clip": 2.0}),
    "PrivacyConfig.weighting": (promised, {}, {"weighting": "equal"}),
    "PrivacyConfig.n_min": (promised, {}, {"n_min": 19}),
    "PrivacyConfig.h_min": (promised, {}, {"h_min": 15}),
    "PrivacyConfig.max_colluders": (promised, {}, {"max_colluders": 0}),
    "PrivacyConfig.sampling": (
        partial(promised, max_colluders=50, roster=2000, group=100),
        {},
        {"sampling": "trusted"},
    ),
    "PrivacyConfig.prg": (promised, {}, {"prg": "aes-256"}),
    "EmbeddedConfig.name": (
        partial(parsed, EmbeddedConfig, ENGINE),
        {},
        {"name": "embeded"},
    ),
    "EmbeddedConfig.workers": (
        lambda **changes: parse(EmbeddedConfig, ENGINE | changes, "").count(9),
        {"workers": 0},
        {"workers": 7},
    ),
    "EmbeddedConfig.cohort": (partial(parsed, EmbeddedConfig, ENGINE), {}, {"cohort": "perhaps"}),
    "RayConfig.name": (partial(parsed, RayConfig, RAY), {}, {"name": "rai"}),
    "RayConfig.workers": (
        lambda **changes: parse(RayConfig, RAY | changes, "").count(9),
        {"workers": 1},
        {"workers": 7},
    ),
    "RayConfig.address": (
        lambda **changes: parse(RayConfig, RAY | changes, "").count(9),
        {},
        {"address": "auto"},
    ),
    "FedAvgMServer.lr": (partial(stepped, "fedavgm", beta=0.5), {"lr": 0.3}, {"lr": 1.0}),
    "FedAvgMServer.beta": (partial(stepped, "fedavgm", lr=0.3), {"beta": 0.5}, {"beta": 0.9}),
    "FedOptServer.optimizer": (partial(stepped, "fedopt"), OPT, OPT | {"optimizer": "yogi"}),
    "FedOptServer.lr": (partial(stepped, "fedopt"), OPT, OPT | {"lr": 0.2}),
    "FedOptServer.beta1": (partial(stepped, "fedopt"), OPT, OPT | {"beta1": 0.5}),
    "FedOptServer.beta2": (partial(stepped, "fedopt"), OPT, OPT | {"beta2": 0.5}),
    "FedOptServer.tau": (partial(stepped, "fedopt"), OPT, OPT | {"tau": 0.5}),
    "GeometricMedianServer.nu": (
        partial(stepped, "geometric_median", iterations=3),
        {"nu": 1e-6},
        {"nu": 5.0},
    ),
    "GeometricMedianServer.iterations": (
        partial(stepped, "geometric_median", nu=1e-6),
        {"iterations": 1},
        {"iterations": 9},
    ),
    "KrumServer.f": (partial(stepped, "krum"), {"f": 1}, {"f": 2}),
    "MultiKrumServer.f": (partial(stepped, "multi_krum", m=None), {"f": 1}, {"f": 2}),
    "MultiKrumServer.m": (partial(stepped, "multi_krum", f=1), {"m": 1}, {"m": 3}),
    "ScaffoldServer.lr": (partial(stepped, "scaffold"), {"lr": 1.0}, {"lr": 0.5}),
    "TrimmedMeanServer.beta": (partial(stepped, "trimmed_mean"), {"beta": 0.2}, {"beta": 0.4}),
    "FedProxLocal.mu": (lambda **c: pulled(c), {"mu": 0.01}, {"mu": 1.0}),
    "DittoLocal.lam": (lambda **c: pulled(c, "ditto"), {"lam": 0.1}, {"lam": 1.0}),
    "PartitionConfig.num_clients": (dealt, {}, {"num_clients": 5}),
    "PartitionConfig.partition": (dealt, {}, {"partition": "iid"}),
    "PartitionConfig.alpha": (dealt, {}, {"alpha": 0.3}),
    "PartitionConfig.shards_per_client": (
        partial(dealt, partition="shards"),
        {},
        {"shards_per_client": 1},
    ),
    "PartitionConfig.min_rows": (dealt, {}, {"min_rows": 31}),
    "Fault.kind": (harmed, {}, {"kind": "outliers"}),
    "Fault.column": (harmed, {}, {"column": "b"}),
    "Fault.other": (
        partial(harmed, kind="swapped"),
        {"other": "b"},
        {"other": "c"},
    ),
    "Fault.strength": (harmed, {}, {"strength": 3.0}),
}
SCHEMA_PROOFS = {
    "ColumnConfig.kind": ({}, {"column": {"kind": "ordinal", "categories": ["1,5", "900", "-3"]}}),
    "ColumnConfig.categories": ({}, {"words": {"categories": ["u", "v", "z"]}}),
    "ColumnConfig.missing": ({}, {"column": {"missing": [900.0]}}),
    "ColumnConfig.may_be_missing": ({}, {"column": {"may_be_missing": True}}),
    "ColumnConfig.low": ({}, {"column": {"low": 0.0}}),
    "ColumnConfig.high": ({}, {"column": {"high": 100.0}}),
    "ColumnConfig.unit": ({}, {"column": {"unit": "kg"}}),
    "ColumnConfig.unknown": ({}, {"words": {"unknown": "refuse"}}),
    "TargetConfig.name": ({}, {"target": {"name": "b"}}),
    "TargetConfig.classes": ({}, {"target": {"classes": ["yes", "no"]}}),
    "TargetConfig.center": (
        NUMBER,
        {"file": COSTS, "target": {"name": "b", "classes": [], "center": 1.0, "scale": 1.0}},
    ),
    "TargetConfig.low": (NUMBER, NUMBER | {"target": NUMBER["target"] | {"low": -1e3}}),
    "TargetConfig.high": (NUMBER, NUMBER | {"target": NUMBER["target"] | {"high": 1e3}}),
    "TargetConfig.unit": (
        PRICED,
        PRICED | {"target": NUMBER["target"] | {"unit": "kg"}},
    ),
    "SchemaConfig.client": ({}, {"client": "b"}),
    "SchemaConfig.group": (GROUPED, GROUPED | {"group": "g"}),
    "SchemaConfig.split": (SPLIT, SPLIT | {"split": "g"}),
    "SchemaConfig.time": (GROUPED, GROUPED | {"time": "g"}),
    "SchemaConfig.delimiter": ({}, {"delimiter": "|"}),
    "SchemaConfig.decimal": ({}, {"decimal": "."}),
    "SchemaConfig.encoding": (
        {"file": "a;k;y\n1;\xfc;no\n", "encoding": "latin-1"},
        {"file": "a;k;y\n1;\xfc;no\n", "encoding": "utf-8"},
    ),
    "SchemaConfig.missing": ({}, {"missing": ["u"]}),
    "SchemaConfig.thousands": ({}, {"file": "a;k;y\n1.500;u;no\n", "thousands": "."}),
    "SchemaConfig.line_breaks": (
        {"file": QUOTED},
        {"file": QUOTED, "line_breaks": True},
    ),
    "SchemaConfig.columns": ({}, {"columns": {"b": {"kind": "numeric"}}}),
}
SIMULATED, STOPPING = "calyx/simulation/test_run.py", "server/test_stopping.py"
SITE, POLICY, LEDGER = (
    "client/test_site.py",
    "client/gate/test_policy.py",
    "client/gate/test_ledger.py",
)
CHAIN = "client/gate/test_chain.py"
README, WORDS = "e2e/test_readme.py", "calyx/data/csv/test_words.py"
SEARCH, STUDY = "calyx/cli/sweep/test_search.py", "calyx/cli/sweep/test_plan.py"
ELSEWHERE = {
    "RunConfig.rounds": f"{SIMULATED}::test_a_resumed_run_may_have_more_rounds_and_ends_like_one_that_"
    "never_stopped",
    "RunConfig.seed": f"{SIMULATED}::test_another_seed_gives_another_model",
    "RunConfig.cohort_size": f"{SIMULATED}::test_a_cohort_is_sampled_and_recorded_by_name",
    "RunConfig.census_size": f"{SIMULATED}::test_a_census_is_of_the_same_clients_each_time_and_is_said",
    "RunConfig.min_replies": "server/exchange/test_secure_sums.py::test_an_attempt_that_fails_"
    "after_the_vectors_"
    "is_repeated_once_the_sum_is_given_up",
    "RunConfig.retries": "server/exchange/test_secure_sums.py::test_an_attempt_that_fails_after_"
    "the_vectors_is_"
    "repeated_once_the_sum_is_given_up",
    "RunConfig.evaluate": "server/test_choice.py::test_with_drawn_cohorts_everybody_validates_"
    "each_round",
    "RunConfig.deadline_s": "server/exchange/test_secure_sums.py::test_five_of_ten_that_stop_end_"
    "the_run_at_that_"
    "stage",
    "RunConfig.keep_checkpoints": "server/test_checkpoints.py::test_the_last_k_are_kept",
    "RunConfig.profile": "calyx/simulation/test_profile.py::test_a_profile_changes_no_byte",
    "RunConfig.tensorboard": "calyx/cli/test_tracking.py::test_tensorboard_has_every_figure_of_"
    "every_round_once",
    "RunConfig.mlflow": "calyx/cli/test_tracking.py::test_mlflow_has_one_run_also_after_a_resume",
    "RunConfig.baselines": f"{README}::test_the_first_command_shows_the_first_screen_and_leaves_its_folder",
    "RunConfig.phases": "server/test_phases.py::test_an_audit_alone_is_a_finished_run_of_no_rounds",
    "Stopping.monitor": f"{SIMULATED}::test_stopping_may_watch_accuracy",
    "Stopping.mode": f"{STOPPING}::test_the_best_round_is_the_one_with_the_best_value",
    "Stopping.objective": f"{SEARCH}::test_the_study_is_maximised_where_the_larger_figure_is_the_better_"
    "one",
    "Stopping.patience": f"{STOPPING}::test_a_run_ends_when_patience_rounds_brought_nothing_better",
    "Audit.bins": "client/rows/test_survey.py::test_statistics_are_given_once_for_the_same_rows_"
    "whatever_the_"
    "run_and_its_settings",
    "Audit.fail_on": "server/test_phases.py::test_grave_findings_stop_a_run_which_can_go_on_by_"
    "the_users_"
    "word",
    "Audit.thorough": "e2e/test_audit.py::test_a_run_that_its_audit_stopped_goes_on_by_the_users_"
    "word_to_"
    "the_same_bytes",
    "Audit.baseline": "e2e/test_audit.py::test_an_alert_of_drift_is_an_error_that_stops_and_is_"
    "said_once",
    "CrossValidation.combine": "calyx/cli/release/test_combining.py::"
    "test_the_folds_are_released_as_one_model_whose_figures_are_true",
    "CrossValidation.k": "server/test_phases.py::test_folds_are_scored_alike_encrypted_and_after_"
    "a_stop",
    "Fault.client": "calyx/data/test_faults.py::test_only_the_client_that_is_named_is_harmed",
    "HardwareConfig.device": "calyx/machine/test_hardware.py::test_without_a_gpu_auto_is_the_cpu_"
    "and_gpu_is_"
    "refused",
    "HardwareConfig.threads": "calyx/machine/test_hardware.py::test_threads_and_determinism_are_"
    "set",
    "HardwareConfig.deterministic": "calyx/machine/test_hardware.py::test_threads_and_"
    "determinism_are_set",
    "PreprocessingConfig.name": "server/test_phases.py::test_federated_constants_are_those_of_"
    "the_pooled_"
    "training_rows_and_go_with_the_model",
    "PreprocessingConfig.fitted": "calyx/cli/test_contradictions.py::test_a_config_that_"
    "contradicts_itself_is_"
    "one_sentence",
    "CsvConfig.hidden": "calyx/tasks/test_csv.py::test_a_folder_is_clients_and_a_schema",
    "CsvConfig.clients": "calyx/data/csv/test_folder.py::test_a_client_without_a_file_is_refused_"
    "with_"
    "those_there_are",
    "FedBNLocal.keep": "strategies/test_fedbn.py::test_what_matches_is_not_shared",
    "FedNovaLocal.rho": "strategies/test_fednova.py::test_rho_follows_the_optimisers_momentum",
    "ShakespeareConfig.min_characters": "calyx/tasks/test_shakespeare.py::test_clients_are_the_"
    "roles_that_"
    "say_enough",
    **{
        f"{cls}.w_max": "client/rows/test_survey.py::test_a_weight_that_is_no_power_of_two_or_not_the_"
        "tasks_is_refused"
        for cls in (*("CsvConfig", "PartitionConfig", "ShakespeareConfig", "TaskSection"),)
    },
    "ColumnConfig.same": f"{WORDS}::test_words_of_the_files_are_the_categories_that_the_schema_says",
    "TargetConfig.same": f"{WORDS}::test_words_of_the_files_are_the_categories_that_the_schema_says",
    "TargetConfig.missing": f"{WORDS}::test_rows_without_a_label_are_left_out_where_the_schema_says_so",
    "TargetConfig.scale": "calyx/cli/test_predict.py::test_a_regression_predicts_in_the_targets_"
    "own_unit",
    "ClientConfig.name": f"{SITE}::test_a_sound_file_is_a_site_with_its_place_on_the_roster",
    "ClientConfig.data_dir": "client/test_agreed.py::test_a_site_reads_by_the_schema_beside_its_"
    "rows",
    "ClientConfig.state_dir": f"{LEDGER}::test_a_sites_ledger_outlives_its_process_and_holds_no_secret",
    "ClientConfig.identity": f"{SITE}::test_a_file_that_cannot_work_is_one_sentence",
    "ClientConfig.roster": f"{SITE}::test_a_file_that_cannot_work_is_one_sentence",
    **{
        f"PolicyConfig.{key}": f"{POLICY}::test_an_order_outside_the_sites_policy_is_refused_before_any_"
        "training"
        for key in ("n_min", "h_min", "max_colluders", "bounds")
    },
    "PolicyConfig.privacy": f"{POLICY}::test_plaintext_is_refused_by_a_client_that_wants_encryption",
    "PolicyConfig.sampling": f"{POLICY}::test_trusted_sampling_must_be_allowed",
    "PolicyConfig.runs_a_day": f"{LEDGER}::test_runs_and_sums_a_day_are_limited",
    "PolicyConfig.sums_a_day": f"{LEDGER}::test_runs_and_sums_a_day_are_limited",
    "PolicyConfig.failures_a_day": "client/test_agreed.py::test_orders_that_fail_on_rows_are_"
    "limited",
    "PolicyConfig.pace_s": "client/gate/test_pace.py::test_a_server_sees_the_same_times_whatever_"
    "the_work_was",
    "PolicyConfig.joins_a_day": f"{CHAIN}::test_a_run_that_is_met_in_its_middle_is_rationed",
    "PolicyConfig.unfinished_a_day": f"{CHAIN}::test_an_answer_that_ends_before_its_vector_is_rationed",
    "PolicyConfig.leave_one_out": "client/test_agreed.py::test_a_model_for_one_client_alone_is_"
    "scored_"
    "only_where_the_policy_says_so",
    "PolicyConfig.questions": "calyx/questions/test_sixth_question.py::test_a_policy_that_does_not_list_"
    "it_refuses_it",
    "PolicyConfig.statistics": "client/rows/test_survey.py::test_the_sites_own_minimum_and_list_"
    "of_items_count",
    "PolicyConfig.min_cell": "client/rows/test_survey.py::test_the_sites_own_minimum_and_list_of_"
    "items_count",
    "SiteConfig.server": f"{SITE}::test_a_file_that_cannot_work_is_one_sentence",
    "SiteConfig.authority": "calyx/cli/test_doctor_site.py::test_what_is_wrong_with_a_sites_"
    "files_is_found",
    "SiteConfig.node_key": "calyx/cli/test_doctor_site.py::test_what_is_wrong_with_a_sites_files_"
    "is_found",
    "SiteConfig.manifest": f"{SITE}::test_a_manifest_must_be_signed_fit_the_code_and_never_go_back",
    "Settings.n_trials": f"{SEARCH}::test_a_search_goes_on_to_its_number_of_trials_and_repeats_none",
    "Settings.n_jobs": f"{SEARCH}::test_a_search_goes_on_to_its_number_of_trials_and_repeats_none",
    "Settings.sampler": f"{SEARCH}::test_a_grid_is_searched_whole_and_no_further",
    "Settings.seed": f"{SEARCH}::test_a_sampler_proposes_the_same_for_a_trials_number",
    "Settings.storage": f"{STUDY}::test_what_is_no_storage_or_anothers_study_is_refused",
    "Settings.study_name": f"{STUDY}::test_what_is_no_storage_or_anothers_study_is_refused",
    "Settings.pruner": f"{SEARCH}::test_a_pruned_job_is_told_and_can_be_resumed",
    "Settings.prune_by": f"{SEARCH}::test_a_pruned_job_is_told_and_can_be_resumed",
    "Settings.warmup_trials": f"{SEARCH}::test_a_pruned_job_is_told_and_can_be_resumed",
    "Settings.warmup_rounds": f"{SEARCH}::test_a_round_is_reported_to_the_study_and_may_end_the_trial",
    "Settings.params": f"{SEARCH}::test_params_of_a_config_file_are_searched_too",
}
SECTIONS = {  # of other classes here, whose own keys are listed
    *(f"RunConfig.{name}" for name in ("task", "strategy", "training", "preprocessing", "privacy")),
    *(f"RunConfig.{name}" for name in ("hardware", "engine", "client", "stopping", "audit", "cv")),
    "RunConfig.robust",
    *("StrategySection.server", "StrategySection.local", "TrainingConfig.early_stopping"),
    *("ClientConfig.hardware", "ClientConfig.policy", "SiteConfig.client"),
    *("CsvConfig.schema", "SchemaConfig.target"),
}
NAMES = {  # of a group's file, which brings its settings; `GROUP.name=` alone is refused
    *(f"{cls}Config.name" for cls in ("Training", "Hardware", "Csv", "Partition")),
    *("ShakespeareConfig.name", "TaskSection.name", "StrategySection.name", "Settings.name"),
}
