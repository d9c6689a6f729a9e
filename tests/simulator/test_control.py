import time

import pytest

from app.simulator.configuration import Knobs
from app.simulator.dataset import REFERENCE_S, create_time
from tests.simulator.caller import Caller, message


@pytest.mark.parametrize(
    ("order", "status", "code"),
    [
        ({"status": 500}, 500, "internal_error"),
        ({"status": 502}, 502, "internal_error"),
        ({"status": 504}, 504, "timeout"),
        ({"status": 401}, 401, "access_token_invalid"),
        ({"status": 429}, 429, "rate_limit_exceeded"),
        ({"status": 429, "code": "daily_quota_limit_exceeded"}, 429, "daily_quota_limit_exceeded"),
    ],
)
def test_an_ordered_status_comes_in_its_envelope_as_often_as_ordered(
    caller: Caller, order: dict[str, object], status: int, code: str
) -> None:
    caller.control("faults", endpoint="video/query", next=2, **order)
    for _ in range(2):
        message(caller.videos(), status=status, code=code)
    assert caller.videos().status_code == 200


def test_an_ordered_page_of_html_is_no_json(caller: Caller) -> None:
    caller.control("faults", endpoint="video/query", status=504, html=True)
    answer = caller.videos()
    assert answer.status_code == 504
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_a_fault_without_a_count_lasts_until_it_is_cleared(caller: Caller) -> None:
    caller.log_in()
    caller.control("faults", endpoint="*", status=500)
    assert {caller.videos().status_code for _ in range(3)} == {500}
    assert caller.ask_token().status_code == 500
    caller.send("DELETE", "/_sim/faults")
    assert caller.ask_token().status_code == 200


def test_a_fault_of_one_endpoint_leaves_the_others_alone(caller: Caller) -> None:
    caller.control("faults", endpoint="user/info", status=500)
    assert caller.videos().status_code == 200


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({"status": 401}, "invalid_client"),
        ({"status": 429}, "rate_limit_exceeded"),
        ({"status": 500}, "server_error"),
        ({"status": 503}, "temporarily_unavailable"),
        ({"status": 400, "code": "access_denied"}, "access_denied"),
    ],
)
def test_a_faulty_token_endpoint_answers_in_the_flat_shape(
    caller: Caller, order: dict[str, object], error: str
) -> None:
    caller.control("faults", endpoint="oauth/token", next=1, **order)
    answer = caller.ask_token()
    assert answer.status_code == order["status"]
    assert answer.json()["error"] == error
    assert set(answer.json()) == {"error", "error_description", "log_id"}


def test_a_fault_with_a_probability_comes_at_times(caller: Caller) -> None:
    caller.log_in()
    caller.control("faults", endpoint="video/query", status=500, probability=0.5)
    statuses = [caller.videos().status_code for _ in range(40)]
    assert 5 < statuses.count(500) < 35


def test_a_delay_alone_makes_a_good_answer_late(caller: Caller) -> None:
    caller.log_in()
    caller.control("faults", endpoint="video/query", delay_s=0.2, next=1)
    began_s = time.monotonic()
    assert caller.videos().status_code == 200
    assert time.monotonic() - began_s >= 0.2
    assert caller.stats()["records"] == 20


@pytest.mark.parametrize(
    ("what", "order"),
    [
        ("faults", {"endpoint": "nowhere", "status": 500}),
        ("faults", {"endpoint": "*", "status": 299}),
        ("faults", {"endpoint": "*", "status": 429, "code": "x"}),
        ("faults", {"endpoint": "*", "status": 429, "code": 5}),
        ("faults", {"endpoint": "*", "status": "500"}),
        ("faults", {"endpoint": "*", "status": True}),
        ("faults", {"endpoint": "*", "status": 418, "code": "teapot"}),
        ("faults", {"endpoint": "*", "status": 200, "code": "x", "message": "y"}),
        ("faults", {"endpoint": "*", "message": "without a status"}),
        ("faults", {"endpoint": "*", "with_body": True}),
        ("faults", {"endpoint": "*", "next": 0}),
        ("faults", {"endpoint": "*", "next": True}),
        ("faults", {"endpoint": "*", "probability": 0}),
        ("faults", {"endpoint": "*", "probability": 2}),
        ("faults", {"endpoint": "*", "stauts": 500}),
        ("clock", {}),
        ("clock", {"shift_s": "soon"}),
        ("clock", {"shift_s": -1e10}),
        ("delete", {"videos": ["x"]}),
    ],
)
def test_an_order_that_cannot_be_followed_is_told_why(
    caller: Caller, what: str, order: dict[str, object]
) -> None:
    answer = caller.control(what, **order)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("path", ["/_sim/stats", "/_sim/journal", "/_sim/accounts", "/_sim/knobs"])
def test_the_control_endpoints_do_not_exist_for_other_machines(path: str) -> None:
    message(Caller(peer="192.0.2.7").send("GET", path), status=404, code="not_found")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_the_control_endpoints_do_not_exist_behind_a_proxy_on_loopback(caller: Caller, header: str) -> None:
    answer = caller.send("GET", "/_sim/stats", headers={header: "127.0.0.1"})
    message(answer, status=404, code="not_found")


def test_a_reset_brings_back_the_start(caller: Caller) -> None:
    first = caller.page()
    caller.control("clock", shift_s=50_000)
    caller.control("delete", videos=[first["videos"][0]["id"]])
    caller.control("faults", endpoint="*", status=500)
    caller.control("reset")
    message(caller.videos(), status=401, code="access_token_invalid")
    stats = caller.stats()
    assert (stats["requests"], stats["records"], stats["days"]) == (0, 0, {})
    caller.log_in()
    assert caller.page()["videos"] == first["videos"]
    assert "is invalid or expired" in message(caller.videos(search_id=first["search_id"], cursor=20))


def test_knobs_make_pages_short_or_empty_while_the_cursor_goes_on() -> None:
    caller = Caller(knobs=Knobs(short_page_p=1.0))
    short = caller.page(max_count=100)
    assert 0 < len(short["videos"]) < 100
    assert (short["cursor"], short["has_more"]) == (100, True)
    assert caller.stats()["records"] == len(short["videos"])
    empty = Caller(knobs=Knobs(empty_page_p=1.0)).page(max_count=100)
    assert (empty["videos"], empty["cursor"], empty["has_more"]) == ([], 100, True)


def test_knobs_make_errors_some_of_them_html() -> None:
    caller = Caller(knobs=Knobs(error_500_p=1.0, html_error_p=0.5))
    kinds = {caller.videos().headers["content-type"].partition(";")[0] for _ in range(20)}
    assert kinds == {"text/html", "application/json"}
    assert caller.stats()["requests"] == 20


def test_a_knob_throttles_bursts() -> None:
    caller = Caller(knobs=Knobs(burst_limit_qps=2))
    answers = [caller.videos() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    message(answers[2], status=429, code="rate_limit_exceeded")
    caller.control("clock", shift_s=2)
    assert caller.videos().status_code == 200


def test_knobs_hide_videos_and_put_nul_into_captions() -> None:
    plain, quirky = Caller(), Caller(knobs=Knobs(missing_p=0.3, nul_p=0.5))
    whole = {v["id"] for v in plain.page(max_count=100)["videos"]}
    page = quirky.page(max_count=100, fields="id,video_description")["videos"]
    assert whole - {v["id"] for v in page}
    assert 20 < sum("\x00" in v["video_description"] for v in page) < 80


def test_a_knob_hides_the_newest_videos_until_time_has_passed() -> None:
    caller = Caller(knobs=Knobs(index_delay_h=48))

    def found() -> list[int]:
        return [v["id"] for v in caller.page(start_date="20261029", max_count=100)["videos"]]

    early = found()
    assert early
    assert all(create_time(v) < REFERENCE_S - 47 * 3_600 for v in early)
    caller.control("clock", shift_s=49 * 3_600)
    caller.log_in()
    late = found()
    assert late[-len(early) :] == early
    assert create_time(late[0]) > REFERENCE_S - 24 * 3_600


def test_a_knob_lets_videos_vanish_week_by_week() -> None:
    caller = Caller(knobs=Knobs(decay_per_week=0.06))
    week_s, left = 7 * 86_400, []
    for weeks in (0, 1, 20):
        caller.control("clock", shift_s=weeks * week_s)
        left.append({p for p in range(4_000) if not caller.platform.is_gone(p)})
    assert left[0] > left[1] > left[2]
    assert len(left[0]) == 4_000
    assert 0.92 < len(left[1]) / 4_000 < 0.96
    assert 0.24 < len(left[2]) / 4_000 < 0.34
    caller.log_in()
    shown = caller.page(max_count=100)["videos"]
    assert len(shown) == 100
    assert all(caller.platform.dataset.position(v["id"]) in left[2] for v in shown)
