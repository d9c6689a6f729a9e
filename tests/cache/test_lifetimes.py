"""How long an answer lasts: by endpoint, by the days that its question names, and as a project chose."""

import datetime as dt
import json

import pytest

from app.cache.lifetimes import UsualLifetimes, lifetime_of
from app.identity.callers import ReuseChoices
from app.provider.endpoints import ENDPOINTS

HOUR, DAY = 3_600, 86_400
USUAL = UsualLifetimes(settled_s=DAY, moving_s=6 * HOUR)
UNCHOSEN = ReuseChoices()
CHOSEN = ReuseChoices(
    lifetimes={"video/query": 7 * DAY, "default": 2 * DAY, "user/followers": 0},
    recent_lifetimes={"default": HOUR},
)


def lasts_s(
    endpoint: str, *, last: str = "", fetched: str = "2026-10-20", choices: ReuseChoices = UNCHOSEN
) -> float:
    """How long what was fetched at noon of that day lasts."""
    question = {"username": "ada"} if not last else {"query": {}, "start_date": "20261001", "end_date": last}
    fetched_us = int(dt.datetime.fromisoformat(f"{fetched}T12:00+00:00").timestamp()) * 1_000_000
    lifetime = lifetime_of(ENDPOINTS[endpoint], json.dumps(question), choices, USUAL)
    return (lifetime.until_us(fetched_us) - fetched_us) / 1_000_000


@pytest.mark.parametrize(
    ("endpoint", "last", "seconds"),
    [
        ("user/info", "", 6 * HOUR),
        ("video/comment/list", "", DAY),
        ("video/query", "20261017", DAY),
        ("video/query", "20261018", 6 * HOUR),
        ("video/query", "20261020", 6 * HOUR),
        ("video/query", "99991231", 6 * HOUR),
    ],
)
def test_profiles_and_recent_windows_age_faster(endpoint: str, last: str, seconds: int) -> None:
    assert lasts_s(endpoint, last=last) == seconds


@pytest.mark.parametrize(
    ("endpoint", "last", "seconds"),
    [
        ("user/info", "", 6 * HOUR),
        ("video/comment/list", "", 2 * DAY),
        ("user/followers", "", 0),
        ("video/query", "20261001", 7 * DAY),
        ("video/query", "20261020", HOUR),
    ],
)
def test_a_project_has_times_of_its_own(endpoint: str, last: str, seconds: int) -> None:
    assert lasts_s(endpoint, last=last, choices=CHOSEN) == seconds


def test_a_profile_lasts_as_long_as_its_project_says_in_so_many_words() -> None:
    assert lasts_s("user/info", choices=ReuseChoices(lifetimes={"user/info": 3 * DAY})) == 3 * DAY


def test_what_was_fetched_from_a_recent_window_never_outlasts_an_old_one() -> None:
    choices = ReuseChoices(lifetimes={"video/query": HOUR}, recent_lifetimes={"video/query": DAY})
    assert lasts_s("video/query", last="20261020", choices=choices) == HOUR


def test_an_answer_does_not_grow_older_by_a_window_that_settles_later() -> None:
    # It was fetched while the window was filling, and stays as incomplete as it was.
    assert lasts_s("video/query", last="20261019", fetched="2026-10-21") == 6 * HOUR
    assert lasts_s("video/query", last="20261019", fetched="2026-10-22") == DAY
