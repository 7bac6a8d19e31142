"""The answer to "was federating worth it?" follows from hand-made comparisons."""

from dataclasses import replace

from calyx.pages.findings import count_severities, group_events
from calyx.pages.scales import bytes_text, push_apart, seconds_text, shorten
from calyx.pages.verdict import judge, judge_values
from calyx.run.rows import Event, Severity
from calyx.run.summary import BaselineScores
from calyx.words.digits import number_text


def test_clear_gain_is_a_yes_with_the_share_of_the_gap() -> None:
    verdict = judge(BaselineScores(local_mean=0.5, federated=0.9, pooled=1.0), 1000)
    assert verdict.answer == "Yes"
    assert "40.0 points more" in verdict.reason
    assert "80\u202f%" in verdict.reason


def test_clear_loss_is_a_no() -> None:
    verdict = judge(BaselineScores(local_mean=0.9, federated=0.5, pooled=0.95), 1000)
    assert verdict.answer == "No"
    assert "40.0 points less" in verdict.reason


def test_gain_within_two_standard_errors_is_too_close_to_call() -> None:
    # 2 sqrt((0.25 + 0.24) / 100) = 0.14, more than the 0.10 gained; with 1000 rows 0.044.
    baselines = BaselineScores(local_mean=0.5, federated=0.6, pooled=0.62)
    assert judge(baselines, 100).answer == "Too close to call"
    assert judge(baselines, 1000).answer == "Yes"


def test_equal_models_are_too_close_without_a_count_of_rows() -> None:
    assert judge(BaselineScores(local_mean=0.5, federated=0.5), None).answer == "Too close to call"


def test_nothing_to_compare_with_is_not_measured() -> None:
    assert judge(None, 100).answer == "Not measured"
    assert judge(BaselineScores(federated=0.5), 100).answer == "Not measured"


def test_pooled_below_federated_needs_no_share_of_the_gap() -> None:
    verdict = judge(BaselineScores(local_mean=0.5, federated=0.9, pooled=0.5), None)
    assert "would not do measurably better" in verdict.reason


def test_a_gap_to_pooled_is_put_into_words_whatever_the_answer() -> None:
    close = BaselineScores(local_mean=0.5, federated=0.51, pooled=0.75)
    worse = BaselineScores(local_mean=0.6, federated=0.4, pooled=0.9)
    for baselines, answer, gap in (
        (close, "Not yet", "24.0 points more accurate"),
        (worse, "No", "50.0 points more accurate"),
    ):
        verdict = judge(baselines, 1000)
        assert verdict.answer == answer
        assert f"One model of all data in one place is {gap}." in verdict.reason.replace(
            "one model", "One model"
        )


def test_a_gap_to_pooled_within_chance_is_not_passed_over() -> None:
    # Wine: 2 sqrt((0.857 0.143 + 0.971 0.029) / 35) = 0.131, more than the 0.114 missing.
    wine = judge(BaselineScores(local_mean=0.8, federated=0.857, pooled=0.971), 35)
    assert wine.answer == "Too close to call"
    assert "11.4 points more accurate; on 35 test rows chance alone can do that" in wine.reason
    assert wine.is_behind  # it is more than half of that margin, so that causes are looked for
    near = judge(BaselineScores(local_mean=0.5, federated=0.957, pooled=0.971), 35)
    assert "would not do measurably better" in near.reason
    assert not near.is_behind


def test_an_r2_of_pooled_rows_at_zero_is_a_figure() -> None:
    verdict = judge_values(BaselineScores(local_mean=-0.5, federated=-0.4, pooled=0.0))
    assert verdict.brief == ("No: R² 0.100 above a client alone, 0.400 below one model of all rows")
    assert "has 0.000, 0.400 more" in verdict.reason


def test_own_models_are_compared_with_what_each_client_gets_alone_on_the_same_rows() -> None:
    # fedbn of eight sites, odd ones with the opposite label: 167 of 192 rows both ways, while local
    # models are at 0.503 on everybody's rows.
    share = 167 / 192
    baselines = BaselineScores(
        local_mean=0.503, pooled=0.521, personal=share, local_own=share, pooled_own=0.521
    )
    for models in ("own", "both"):
        verdict = judge(baselines, 192, models)
        assert verdict.answer == "Too close to call"
        assert verdict.reason == (
            "Each on its own rows, the clients' federated models are as accurate as what each client "
            "trains alone: federating gained nothing. Pooling all data in one place would not do "
            "measurably better."
        )
    gained = judge(replace(baselines, local_own=0.7), 192, "own")
    assert gained.answer == "Yes"
    assert "17.0 points more accurate than what each client trains alone" in gained.reason


def test_a_common_model_that_is_worse_at_home_is_said() -> None:
    baselines = BaselineScores(local_mean=0.503, federated=0.521, pooled=0.5, local_own=0.87)
    assert "each client's own model is 34.9 points more accurate" in judge(baselines, 192).reason
    assert "own model" not in judge(replace(baselines, local_own=0.53), 192).reason
    values = judge_values(replace(baselines, local_mean=0.1))
    assert "own model has an R² 0.349 above that of the federated one" in values.reason
    assert "own model" not in judge_values(replace(baselines, local_own=0.53)).reason


def test_a_negative_r2_is_no_share_of_a_variance() -> None:
    below = judge_values(BaselineScores(local_mean=-3.0, federated=-0.086, pooled=0.4))
    assert (below.answer, below.tone) == ("No", "no")
    assert below.reason == (
        "R² is -0.086 for the federated model and -3.000 for the average client that trains alone. "
        "One model of all data in one place has 0.400, 0.486 more. Neither predicts better than the "
        "mean of all targets would."
    )
    assert judge_values(BaselineScores(local_mean=-3.0, federated=0.2)).answer == "Yes"
    assert judge_values(BaselineScores(local_mean=0.9, federated=0.5)).answer == "No"
    near = judge_values(BaselineScores(local_mean=0.99996, federated=0.99998, pooled=0.99999))
    assert near.answer == "Too close to call"
    assert "0.99998" in near.reason
    assert "not do measurably better" in near.reason


def test_an_absent_figure_is_said_with_its_reason() -> None:
    why = {"federated": "2 of 10 rows have an output that is not finite"}
    for verdict in (
        judge(BaselineScores(local_mean=0.5, pooled=0.9, absent=why), 100),
        judge_values(BaselineScores(local_mean=0.5, absent=why)),
    ):
        assert verdict.answer == "It cannot be told"
        assert (
            "the federated model: 2 of 10 rows have an output that is not finite" in verdict.reason
        )
    assert judge(BaselineScores(personal=0.5, absent={"local_own": "x"}), 9, "own").tone == "open"


def event(severity: Severity, client: str | None, number: int | None) -> Event:
    """An event of a severity, client and round."""
    common = Event(time="t", event="e", severity=severity, message="m")
    return replace(common, round=number, client=client)


def test_equal_events_become_one_finding_and_errors_come_first() -> None:
    events = [event("info", "b", 9), event("info", "b", 3), event("error", None, None)]
    first, second = group_events(events)
    assert (first.severity, first.rounds) == ("error", "")
    assert (second.times, second.rounds) == (2, "3–9")
    assert count_severities(events) == "1 error"
    assert count_severities([]) == "none"


def test_figures_are_worded_for_a_person() -> None:
    assert [bytes_text(n) for n in (0, 999, 1000, 15_200_000)] == [
        "0\u202fB",
        "999\u202fB",
        "1\u202fkB",
        "15.2\u202fMB",
    ]
    assert bytes_text(999_999) == "1\u202fMB"
    assert [seconds_text(s) for s in (0.21, 9.96, 59.96, 192.4, 7500)] == [
        "0.21\u202fs",
        "10\u202fs",
        "1\u202fmin 00\u202fs",
        "3\u202fmin 12\u202fs",
        "2\u202fh 05\u202fmin",
    ]
    assert [number_text(n) for n in (None, 0.0, 0.25671, 1e30)] == ["—", "0", "0.2567", "1.000e+30"]


def test_long_names_lose_their_middle() -> None:
    assert shorten("hospital-amsterdam-01", 11) == "hospi…am-01"
    assert shorten("client-00", 11) == "client-00"
    assert len(shorten("abcdef", 2)) == 2


def test_labels_that_would_touch_are_pushed_apart_within_their_bounds() -> None:
    assert push_apart([100.0, 99.0], 20, 0, 110) == [110, 90]
