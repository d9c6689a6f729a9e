import re

import pytest

from app.simulator.configuration import Knobs
from tests.simulator.caller import OTHER, UNSCOPED, Caller, message, query


def test_a_good_request_gives_a_bearer_token_for_two_hours(caller: Caller) -> None:
    answer = caller.ask_token()
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "expires_in", "token_type"}
    assert body["access_token"].startswith("clt.")
    assert (body["expires_in"], body["token_type"]) == (7200, "Bearer")


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_key": ""}, 400, "invalid_request"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"client_key": "nobody"}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
    ],
)
def test_a_bad_request_gets_the_flat_error(
    caller: Caller, changes: dict[str, str], status: int, error: str
) -> None:
    answer = caller.ask_token(**changes)
    body = answer.json()
    assert (answer.status_code, body["error"]) == (status, error)
    assert set(body) == {"error", "error_description", "log_id"}
    assert re.fullmatch(r"[0-9]{14}[0-9A-F]{20}", body["log_id"])


def test_a_refusal_can_come_with_status_200() -> None:
    answer = Caller(knobs=Knobs(token_errors_with_200=True)).ask_token(client_secret="wrong")
    assert (answer.status_code, answer.json()["error"]) == (200, "invalid_client")


def test_a_json_body_is_no_form(caller: Caller) -> None:
    answer = caller.send("POST", "/v2/oauth/token/", b'{"client_key": "test-key"}')
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/v2/oauth/token", "/v2/research/video/query", "/v2/research/live/query/"])
def test_an_unknown_path_and_one_without_its_slash_are_404_in_the_envelope(caller: Caller, path: str) -> None:
    message(caller.send("POST", path), status=404, code="not_found")


def test_several_tokens_of_one_key_live_at_once(caller: Caller) -> None:
    first = caller.log_in()
    assert caller.log_in() != first
    assert caller.videos().status_code == 200
    caller.token = first
    assert caller.videos().status_code == 200


def test_a_token_dies_after_its_life_on_the_simulators_clock(caller: Caller) -> None:
    caller.log_in()
    caller.control("clock", shift_s=7190)
    assert caller.videos().status_code == 200
    caller.control("clock", shift_s=7201)
    message(caller.videos(), status=401, code="access_token_invalid")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer clt.wrong", "Basic clt.wrong"])
def test_a_bad_token_is_401_and_costs_nothing(caller: Caller, header: str) -> None:
    answer = caller.call("video/query", query(), Authorization=header)
    message(answer, status=401, code="access_token_invalid")
    assert caller.stats()["requests"] == 0


def test_the_scheme_may_be_written_small(caller: Caller) -> None:
    token = caller.log_in()
    assert caller.call("video/query", query(), Authorization=f"bearer {token}").status_code == 200


def test_a_client_without_the_scope_is_told_so_at_no_cost(caller: Caller) -> None:
    caller.log_in(UNSCOPED)
    message(caller.videos(), status=401, code="scope_not_authorized")
    assert caller.stats()["requests"] == 0


def test_each_client_has_its_own_quota() -> None:
    caller = Caller(requests_per_day=1)
    assert caller.videos().status_code == 200
    message(caller.videos(), status=429, code="daily_quota_limit_exceeded")
    caller.log_in(OTHER)
    assert caller.videos().status_code == 200
