"""What a `Cache-Control` header asks for, in every spelling that RFC 9111 allows and some that it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.steering import UNSTEERED, Steering, read_cache_control

MINUTE = Steering(max_age_s=60)


@pytest.mark.parametrize(
    ("value", "asks"),
    [
        (b"no-cache", Steering(is_anew=True)),
        (b"No-Cache , NO-STORE", Steering(is_anew=True, is_unheld=True)),
        (b"only-if-cached", Steering(is_held_only=True)),
        (b"max-age=60", MINUTE),
        (b'Max-Age="60"', MINUTE),
        (b"max-age = 60", MINUTE),
        (b",, max-age=60 ,", MINUTE),
        (b"max-age=600, max-age=60", MINUTE),
        (b"max-age=0", Steering(max_age_s=0)),
        (b"max-age=" + b"9" * 40, Steering(max_age_s=2**31)),
        (b"max-age=1h, no-store", Steering(is_unheld=True)),
        (b"max-age=-1", UNSTEERED),
        (b"max-age", UNSTEERED),
        (b"no-transform, min-fresh=5, max-stale", UNSTEERED),
        (b'private="no-store, no-cache"', UNSTEERED),
        (b"no-cachet", UNSTEERED),
        (b"", UNSTEERED),
        (b"\xff\x00", UNSTEERED),
    ],
)
def test_what_is_understood_counts_and_nothing_else(value: bytes, asks: Steering) -> None:
    assert read_cache_control(value) == asks


@given(st.binary(max_size=2_000))
def test_no_bytes_are_too_odd_to_be_read(value: bytes) -> None:
    found = read_cache_control(value)
    # What is put down in the log reads back as the same.
    assert read_cache_control(", ".join(found.said()).encode()) == found


def test_the_age_is_counted_from_the_call() -> None:
    asked_us = 1_000_000_000
    assert UNSTEERED.since_us(asked_us) == 0
    assert Steering(is_anew=True, max_age_s=60).since_us(asked_us) == asked_us
    assert MINUTE.since_us(asked_us) == asked_us - 60_000_000
    assert Steering(max_age_s=2**31).since_us(asked_us) == 0
