"""Which test shows the effect of each key of a gateway, and of training and judging on moved rows."""

_SERVING = "calyx/serving/"
_LISTENING, _SWAP = f"{_SERVING}test_listening.py::", f"{_SERVING}test_swap.py::"
_STEALING, _BUDGETS = f"{_SERVING}test_stealing.py::", f"{_SERVING}test_budgets.py::"
_TOKENS, _DECISIONS = f"{_SERVING}test_tokens.py::", f"{_SERVING}test_decisions.py::"
_LOGGED, _REPLICAS = f"{_SERVING}test_logged.py::", f"{_SERVING}test_replicas.py::"
_KEPT, _ATTACK = f"{_SERVING}test_kept_rows.py::", "calyx/model/test_attack.py::"
_TRAINED = "client/learning/test_adversarial.py::"
_MOVED = "test_it_is_in_the_loss_of_any_strategy_and_beside_its_penalty"
_CUT = "test_who_does_not_come_to_an_end_is_cut_off_in_every_phase"
_EVERY = "server/test_rounds.py::test_every_second_model_is_attacked_once_between_its_training_and_the_next"
_STEPS = "test_steps_from_the_row_itself_are_foolboxs_projected_descent"

SERVED: dict[str, str] = {
    "DetectorConfig.mode": f"{_STEALING}test_whoever_only_wants_to_know_refuses_nobody",
    "DetectorConfig.near": f"{_STEALING}test_without_a_baseline_only_nearness_is_judged",
    "DetectorConfig.away": f"{_STEALING}test_a_thief_is_slowed_and_then_stopped",
    "DetectorConfig.row_s": f"{_STEALING}test_a_slowed_caller_is_answered_when_it_comes_back_in_time",
    "DetectorConfig.hold_s": f"{_STEALING}test_a_stop_is_seen_by_another_replica_and_ends",
    "JwtConfig.issuer": f"{_TOKENS}test_a_token_for_others_or_without_what_it_must_say_is_refused",
    "JwtConfig.audience": f"{_TOKENS}test_a_token_for_others_or_without_what_it_must_say_is_refused",
    "JwtConfig.keys": f"{_TOKENS}test_a_rotated_key_set_is_in_force_within_a_second_and_the_old_key_is_not",
    "JwtConfig.algorithms": f"{_TOKENS}test_a_forged_token_is_refused",
    "JwtConfig.leeway_s": f"{_TOKENS}test_an_expired_token_is_known_as_such_after_the_leeway",
    "LimitsConfig.answer_s": f"{_LISTENING}test_who_does_not_read_his_answer_is_cut_off",
    **{f"LimitsConfig.{name}": f"{_LISTENING}{_CUT}" for name in ("head_s", "body_s", "idle_s")},
    "LimitsConfig.connections": f"{_LISTENING}test_silent_crowds_leave_room_for_a_caller_and_end",
    "LimitsConfig.failures_per_minute": f"{_SERVING}test_authorization.py::"
    "test_failures_of_an_address_are_slowed_and_a_key_from_there_is_not",
    "LimitsConfig.requests_per_minute": f"{_BUDGETS}test_a_key_with_limits_of_its_own_has_those",
    "LimitsConfig.rows_per_day": f"{_BUDGETS}"
    "test_rows_are_counted_by_caller_and_a_refused_request_costs_nothing",
    "LogConfig.folder": f"{_DECISIONS}"
    "test_a_second_gateway_on_one_chain_is_refused_and_another_replica_is_not",
    "LogConfig.key": f"{_DECISIONS}test_a_chain_written_anew_without_the_key_fails_at_its_next_signature",
    "LogConfig.file_bytes": f"{_DECISIONS}"
    "test_a_file_that_is_full_is_followed_by_another_of_the_same_chain",
    "LogConfig.sign_every_s": f"{_DECISIONS}test_signatures_come_while_nobody_asks",
    "LogConfig.keep_rows": f"{_LOGGED}"
    "test_answers_and_refusals_are_logged_without_rows_and_rows_are_kept_sealed",
    "LogConfig.rows_key": f"{_LOGGED}"
    "test_answers_and_refusals_are_logged_without_rows_and_rows_are_kept_sealed",
    "LogConfig.rows_days": f"{_KEPT}test_files_go_by_age_and_by_size",
    "LogConfig.rows_bytes": f"{_KEPT}test_files_go_by_age_and_by_size",
    "ServeConfig.host": f"{_LISTENING}test_an_address_that_others_reach_needs_tls",
    "ServeConfig.port": f"{_REPLICAS}test_a_dead_replica_is_replaced_and_a_signal_ends_all",
    "ServeConfig.replicas": f"{_REPLICAS}test_a_dead_replica_is_replaced_and_a_signal_ends_all",
    "ServeConfig.drain_s": f"{_REPLICAS}test_a_dead_replica_is_replaced_and_a_signal_ends_all",
    "ServeConfig.answer": f"{_SERVING}test_app.py::test_no_more_is_told_than_the_policy_says",
    "ServeConfig.digits": f"{_SERVING}test_coverage.py::"
    "test_an_interval_is_rounded_outwards_and_absent_where_the_answer_is",
    "ServeConfig.coverage": f"{_LOGGED}test_a_set_has_the_classes_of_probability_a_tenth_at_least",
    "ServeConfig.batch_rows": f"{_SERVING}test_rows.py::"
    "test_a_body_that_is_no_bounded_list_of_rows_is_refused",
    "ServeConfig.body_bytes": f"{_LISTENING}test_a_body_of_a_gigabyte_is_refused_and_never_held",
    "ServeConfig.state_dir": f"{_SWAP}test_no_restart_goes_below_what_has_answered",
    "ServeConfig.keys": f"{_SERVING}test_api_keys.py::"
    "test_a_new_key_and_a_revoked_one_are_known_within_a_second",
    "ServeConfig.new_schema": f"{_SWAP}"
    "test_other_columns_or_classes_take_over_only_where_that_is_said",
    "ServeConfig.worse_by": f"{_SWAP}test_a_model_that_tested_clearly_worse_does_not_take_over",
    "ServeConfig.poll_s": f"{_SWAP}test_a_newer_release_answers_from_the_next_request_on",
    "TlsConfig.certificate": f"{_LISTENING}test_a_renewed_certificate_is_shown_to_the_next_connection",
    "TlsConfig.key": f"{_LISTENING}test_files_that_are_no_certificate_and_key_are_a_sentence",
    "TlsConfig.clients": f"{_LISTENING}"
    "test_a_callers_certificate_must_be_of_the_named_authority_and_of_today",
    "AdversarialConfig.method": f"{_ATTACK}test_one_step_is_foolboxs_fast_gradient_attack",
    "AdversarialConfig.epsilon": f"{_ATTACK}test_an_epsilon_of_nothing_moves_nothing",
    "AdversarialConfig.steps": f"{_ATTACK}{_STEPS}",
    "AdversarialConfig.step_size": f"{_ATTACK}{_STEPS}",
    "AdversarialConfig.share": f"{_TRAINED}"
    "test_a_share_of_each_batch_is_moved_against_the_model_as_it_is_used",
    **{
        f"{name}Local.adversarial": f"{_TRAINED}{_MOVED}"
        for name in ("Ditto", "FedBN", "FedNova", "FedProx")
    },
    "RobustConfig.every": _EVERY,
    "RobustConfig.method": f"{_ATTACK}test_one_step_is_foolboxs_fast_gradient_attack",
    "RobustConfig.epsilon": f"{_ATTACK}test_an_epsilon_of_nothing_moves_nothing",
    "RobustConfig.steps": f"{_ATTACK}{_STEPS}",
    "RobustConfig.step_size": f"{_ATTACK}{_STEPS}",
}
SERVED_SECTIONS = {f"ServeConfig.{name}" for name in ("detector", "jwt", "limits", "log", "tls")}
