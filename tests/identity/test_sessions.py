"""When a session ends by itself, and what stands for it."""

import pytest

from app.identity.sessions import (
    FRESH_S,
    form_token,
    is_form_token,
    is_over,
    may_be_form_token,
    new_session_secret,
    session_digest,
)

SECRET = "s" * 43


@pytest.mark.parametrize(("idle_s", "ended"), [(0, False), (1_799, False), (1_800, True)])
def test_half_an_hour_without_a_request_ends_it(idle_s: int, ended: bool) -> None:
    now_us = 1_790_000_000_000_000
    assert (
        is_over(began_us=now_us - idle_s * 1_000_000, seen_us=now_us - idle_s * 1_000_000, now_us=now_us)
        is ended
    )


@pytest.mark.parametrize(("age_s", "ended"), [(43_199, False), (43_200, True)])
def test_twelve_hours_end_it_whatever_happens_in_it(age_s: int, ended: bool) -> None:
    now_us = 1_790_000_000_000_000
    assert is_over(began_us=now_us - age_s * 1_000_000, seen_us=now_us, now_us=now_us) is ended


def test_a_session_ends_to_the_microsecond() -> None:
    assert not is_over(began_us=0, seen_us=1, now_us=1_800_000_000)
    assert is_over(began_us=0, seen_us=1, now_us=1_800_000_001)
    assert not is_over(began_us=1, seen_us=43_200_000_000, now_us=43_200_000_000)
    assert is_over(began_us=1, seen_us=43_200_000_000, now_us=43_200_000_001)


def test_a_proof_is_fresh_for_a_quarter_of_an_hour() -> None:
    assert FRESH_S == 900


def test_a_secret_is_new_each_time_and_has_a_digest() -> None:
    secrets = {new_session_secret() for _ in range(100)}
    assert len(secrets) == 100
    digests = {session_digest(secret) for secret in secrets}
    assert len(digests) == 100
    assert {len(digest or b"") for digest in digests} == {32}


@pytest.mark.parametrize("secret", ["", "s" * 42, "s" * 44, "s" * 42 + "é", "s" * 10_000_000])
def test_what_can_be_no_secret_has_no_digest(secret: str) -> None:
    assert session_digest(secret) is None


def test_a_form_is_of_the_session_that_made_it() -> None:
    token = form_token(SECRET)
    assert is_form_token(SECRET, token)
    assert not is_form_token("t" * 43, token)
    assert not is_form_token(SECRET, token[:-1])
    assert not is_form_token(SECRET, "é" * 64)


def test_only_what_looks_like_a_token_may_be_another_sessions() -> None:
    token = form_token(SECRET)
    assert may_be_form_token(token)
    assert not may_be_form_token(token[:-1])
    assert not may_be_form_token(token + "\n")
    assert not may_be_form_token(token.upper())
