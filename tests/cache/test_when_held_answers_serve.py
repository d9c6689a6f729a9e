"""When what is held may be served: as its caller asks, for as long as its project says, and past that in need."""

import asyncio
import datetime as dt
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from app.cache.steering import UNSTEERED, read_cache_control
from app.calls import Delivered, TurnedDown
from app.errors import NotHeld, QuotaExhausted
from app.provider.answers import UpstreamReply
from app.provider.platform import CredentialRefused, NotDispatched, OutcomeUnknown, Paced
from app.simulator.dataset import username
from tests.servers.library import Library, Platform, opened_library

pytestmark = pytest.mark.anyio
PEOPLE = {"elections": ["ada", "ben"], "deaf": ["dan"], "patient": ["pia"], "hasty": ["hal"]}
REUSE: Mapping[str, Mapping[str, Any]] = {
    "deaf": {"cache_control": "ignore"},
    "patient": {"stale": True},
    "hasty": {"lifetimes": {"default": "1h", "user/info": 0}, "recent_lifetimes": {"default": "1m"}},
}
OLD: Mapping[str, Any] = {
    "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": ["US", "DE"]}]},
    "start_date": "20261001",
    "end_date": "20261007",
}
MINUTE, HOUR, DAY = 60, 3_600, 86_400


class Moody(Platform):
    """A platform that can fail in every way: with what `fails` raises or returns."""

    fails: Callable[[], UpstreamReply] | None = None
    failed = 0

    async def fetch(self, *args: Any, **more: Any) -> UpstreamReply:
        if self.fails is None:
            return await super().fetch(*args, **more)
        self.failed += 1
        await asyncio.sleep(0.05)
        return self.fails()


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with opened_library(
        tmp_path, projects=PEOPLE, platform=Moody(videos=20_000), reuse=REUSE
    ) as opened:
        yield opened


def later(library: Library, seconds: float) -> None:
    """Let time pass for the gateway."""
    clock = cast("Any", library.installation.clock)
    clock._offset += dt.timedelta(seconds=seconds)


async def ask(
    library: Library, who: str = "ada", cache_control: str = "", **changes: Any
) -> Delivered | TurnedDown:
    steering = read_cache_control(cache_control.encode()) if cache_control else UNSTEERED
    return await library.ask(who, "video/query", ["id"], {**OLD, **changes}, steering=steering)


async def profile(library: Library, who: str = "ada") -> Delivered | TurnedDown:
    asked = {"username": username(library.platform.state.dataset.authors[0])}
    return await library.ask(who, "user/info", ["follower_count"], asked)


def how(answer: Delivered | TurnedDown) -> tuple[str, int]:
    """Where it came from, and the requests that it cost."""
    assert isinstance(answer, Delivered), answer
    return answer.how, answer.cost.requests


def videos(answer: Delivered | TurnedDown) -> list[int]:
    assert isinstance(answer, Delivered), answer
    return [each["id"] for each in json.loads(answer.data)["videos"]]


async def pages_held(library: Library) -> int:
    count = sa.text("SELECT count(*) FROM held_page")
    return int(await library.installation.database.read(lambda conn: conn.execute(count).scalar_one()))


async def test_no_cache_brings_what_the_platform_has_now_and_everybody_has_it_from_then_on(
    library: Library,
) -> None:
    before = videos(await ask(library))
    library.platform.state.delete(videos=before[:1], comments=(), users=())
    assert videos(await ask(library, "ben")) == before
    anew = await ask(library, cache_control="no-cache")
    assert how(anew) == ("request", 1)
    assert before[0] not in videos(anew)
    again = await ask(library, "ben")
    assert (how(again), videos(again)) == (("hit", 0), videos(anew))


async def test_no_cache_on_every_page_of_a_crawl_gives_what_the_platform_would(library: Library) -> None:
    found, onward = list[int](), dict[str, Any]()
    while True:
        answer = await ask(library, cache_control="no-cache", max_count=70, **onward)
        assert how(answer)[0] in {"miss", "request"}
        data = json.loads(cast("Delivered", answer).data)
        found += [each["id"] for each in data["videos"]]
        if not data["has_more"]:
            break
        onward = {"cursor": data["cursor"], "search_id": data["search_id"]}
    direct = (await library.platform.ask("video/query", ["id"], {**OLD, "max_count": 100})).json()["data"]
    assert found[:100] == [each["id"] for each in direct["videos"]]
    assert len(set(found)) == len(found) > 100


@pytest.mark.parametrize("trigger", ["something fresher", "other fields"])
async def test_what_vanishes_in_mid_crawl_moves_no_other_record_out_of_its_place(
    library: Library, trigger: str
) -> None:
    first = await ask(library, max_count=100)
    places, search_id = videos(first), json.loads(cast("Delivered", first).data)["search_id"]
    gone = [places[3], places[25]]
    library.platform.state.delete(videos=gone, comments=(), users=())
    if trigger == "something fresher":
        answer = await ask(library, cache_control="max-age=0", max_count=20, cursor=20, search_id=search_id)
        assert how(answer)[1] == 1
    else:
        body = {**OLD, "max_count": 20, "search_id": search_id, "cursor": 20}
        assert how(await library.ask("ben", "video/query", ["id", "like_count"], body))[1] == 1
        answer = await ask(library, max_count=20, cursor=20, search_id=search_id)
    assert videos(answer) == [each for each in places[20:40] if each not in gone]
    rest = await ask(library, max_count=60, cursor=40, search_id=search_id)
    assert (how(rest), videos(rest)) == (("hit", 0), places[40:])


async def test_a_maximum_age_is_kept_to(library: Library) -> None:
    assert how(await ask(library)) == ("miss", 1)
    later(library, 10 * MINUTE)
    assert how(await ask(library, cache_control="max-age=900")) == ("hit", 0)
    assert how(await ask(library, cache_control="max-age=300")) == ("request", 1)
    assert how(await ask(library, cache_control="max-age=300")) == ("hit", 0)
    other = {"start_date": "20261002"}
    assert how(await ask(library, cache_control="max-age=300", **other)) == ("miss", 1)


async def test_what_is_not_to_be_stored_is_logged_and_not_held(library: Library) -> None:
    answer = await ask(library, cache_control="no-store")
    assert (how(answer), cast("Delivered", answer).is_kept) == (("miss", 1), False)
    assert library.platform.sent[-1][2].count(b'"max_count":20')
    assert await pages_held(library) == 0
    intent, outcome = (await library.entries())[-2:]
    assert outcome["id"] == answer.receipt.id
    assert intent["cache_control"] == outcome["cache_control"] == ["no-store"]
    assert {"params_hmac", "sealed", "fields", "page"} <= intent.keys()
    onward = json.loads(cast("Delivered", answer).data)
    goes_on = {"cursor": 20, "search_id": onward["search_id"]}
    assert how(await ask(library, cache_control="no-store", **goes_on)) == ("miss", 1)
    assert how(await ask(library)) == ("miss", 1)
    assert how(await ask(library, cache_control="no-store")) == ("hit", 0)


async def test_only_if_cached_never_goes_to_the_platform(library: Library) -> None:
    refused = await ask(library, cache_control="only-if-cached")
    assert isinstance(refused, TurnedDown)
    assert isinstance(refused.error, NotHeld)
    assert refused.cost.requests == library.platform.requests() == 0
    entry = (await library.entries())[-1]
    assert (entry["id"], entry["type"]) == (refused.receipt.id, "decision")
    assert entry["decision"] == {"verdict": "refused", "rule": "only-if-cached/1", "code": "not_held"}
    assert entry["cache_control"] == ["only-if-cached"]
    await ask(library)
    assert how(await ask(library, cache_control="only-if-cached")) == ("hit", 0)
    assert isinstance(await ask(library, cache_control="only-if-cached, no-cache"), TurnedDown)
    onward = json.loads(cast("Delivered", await ask(library, max_count=100)).data)
    goes_on = {"cursor": 100, "search_id": onward["search_id"]}
    assert isinstance(await ask(library, cache_control="only-if-cached", **goes_on), TurnedDown)


async def test_a_project_whose_clients_do_not_mean_it_is_served_as_if_they_had_not_said_it(
    library: Library,
) -> None:
    assert how(await ask(library, "dan", "only-if-cached, no-store")) == ("miss", 1)
    assert how(await ask(library, "dan", "no-cache")) == ("hit", 0)
    assert "cache_control" not in (await library.entries())[-1]


async def test_what_moves_is_asked_anew_sooner(library: Library) -> None:
    today = library.installation.clock.now()
    recent = {"start_date": f"{today - dt.timedelta(days=5):%Y%m%d}", "end_date": f"{today:%Y%m%d}"}
    for _ in range(2):
        await profile(library)
        await ask(library)
        await ask(library, **recent)
    assert library.platform.requests() == 3
    later(library, 7 * HOUR)
    assert how(await profile(library)) == ("miss", 1)
    assert how(await ask(library, **recent)) == ("miss", 1)
    assert how(await ask(library)) == ("hit", 0)
    later(library, 18 * HOUR)
    assert how(await ask(library)) == ("miss", 1)


async def test_a_project_has_times_of_its_own(library: Library) -> None:
    await ask(library, "hal")
    assert how(await ask(library, "hal")) == ("hit", 0)
    later(library, 61 * MINUTE)
    assert how(await ask(library, "hal")) == ("miss", 1)
    held = await pages_held(library)
    for _ in range(2):
        assert how(await profile(library, "hal")) == ("miss", 1)
    # What would never be served again is not kept either.
    assert await pages_held(library) == held


FAILURES: dict[str, tuple[Callable[[], UpstreamReply], int, int | None]] = {
    "fails": (lambda: UpstreamReply(status=500, body=b"<html>"), 1, 500),
    "is used up": (
        lambda: UpstreamReply(
            status=429,
            body=b'{"error":{"code":"daily_quota_limit_exceeded","message":"used up","log_id":"1"}}',
        ),
        1,
        429,
    ),
}


def _raising(error: Exception) -> Callable[[], UpstreamReply]:
    def fail() -> UpstreamReply:
        raise error

    return fail


FAILURES["is out of reach"] = (_raising(NotDispatched("connection refused")), 0, None)
FAILURES["does not answer"] = (_raising(OutcomeUnknown("timed out")), 1, None)


@pytest.mark.parametrize("failure", FAILURES)
async def test_what_is_past_its_time_serves_while_the_platform(library: Library, failure: str) -> None:
    fresh = {who: videos(await ask(library, who)) for who in ("ada", "pia")}
    assert fresh["pia"]
    later(library, 25 * HOUR)
    cast("Moody", library.platform).fails, requests, status = FAILURES[failure]
    answer = await ask(library, "pia")
    assert (how(answer), videos(answer)) == (("stale", requests), fresh["pia"])
    assert isinstance(answer, Delivered)
    assert answer.overdue is not None
    assert (answer.overdue.is_asked, answer.overdue.status) == (True, status)
    assert -HOUR - 60 < answer.overdue.ttl_s <= -HOUR
    assert 25 * HOUR <= answer.age_s < 25 * HOUR + 60
    failed, served = (await library.entries())[-2:]
    assert failed["type"] == "outcome"
    assert (served["id"], served["type"]) == (answer.receipt.id, "decision")
    assert (served["cache"]["state"], served["cache"]["age_s"]) == ("stale", answer.age_s)
    assert isinstance(await ask(library, "ada"), TurnedDown)
    assert isinstance(await ask(library, "pia", start_date="20261002", end_date="20261003"), TurnedDown)


async def test_all_who_share_a_fetch_that_fails_are_served_what_is_past_its_time(library: Library) -> None:
    await ask(library, "pia")
    later(library, 25 * HOUR)
    platform = cast("Moody", library.platform)
    platform.fails, _, _ = FAILURES["fails"]
    answers = [
        cast("Delivered", each) for each in await asyncio.gather(*(ask(library, "pia") for _ in range(5)))
    ]
    assert {each.how for each in answers} == {"stale"}
    assert sum(each.cost.requests for each in answers) == platform.failed
    assert len({each.receipt.id for each in answers}) == 5


async def crawl(library: Library, who: str, *, size: int) -> list[Delivered]:
    """Every page of the search, to its end."""
    pages, page = [], dict[str, Any](max_count=size, end_date="20261012")
    while True:
        answer = await ask(library, who, **page)
        assert isinstance(answer, Delivered), answer
        pages.append(answer)
        told = json.loads(answer.data)
        if not told["has_more"]:
            return pages
        page |= {"cursor": told["cursor"], "search_id": told["search_id"]}


@pytest.mark.parametrize("size", [100, 30])
async def test_a_crawl_through_what_is_past_its_time_comes_to_its_end(library: Library, size: int) -> None:
    fresh = [video for page in await crawl(library, "pia", size=100) for video in videos(page)]
    assert len(fresh) > 200
    later(library, 25 * HOUR)
    platform = cast("Moody", library.platform)
    platform.fails, _, _ = FAILURES["fails"]
    pages = await crawl(library, "pia", size=size)
    assert [video for page in pages for video in videos(page)] == fresh
    assert {page.how for page in pages} == {"stale"}
    assert all(page.overdue is not None and page.overdue.ttl_s < 0 for page in pages)
    # Asked for are the beginning, and the last part, which a new search could have joined.
    assert platform.failed == sum(page.cost.requests for page in pages) == 2


async def test_whoever_is_within_a_search_that_is_over_gets_what_is_past_its_time_only_where_the_project_allows_it(
    library: Library,
) -> None:
    first = {who: (await crawl(library, who, size=30))[0] for who in ("ada", "pia")}
    later(library, 25 * HOUR)
    told = {who: json.loads(page.data) for who, page in first.items()}
    second = {
        who: await ask(
            library, who, max_count=30, end_date="20261012", cursor=30, search_id=told[who]["search_id"]
        )
        for who in told
    }
    assert isinstance(second["ada"], TurnedDown)
    assert how(second["pia"]) == ("stale", 0)


@pytest.mark.parametrize(
    "pause", [Paced(retry_after_s=3), CredentialRefused("the secret does not hold")], ids=["paced", "refused"]
)
async def test_a_pause_or_a_refused_credential_is_no_reason_to_serve_old_answers(
    library: Library, pause: NotDispatched
) -> None:
    await ask(library, "pia")
    later(library, 25 * HOUR)
    cast("Moody", library.platform).fails = _raising(pause)
    assert isinstance(await ask(library, "pia"), TurnedDown)


async def test_nothing_stale_is_served_that_the_terms_or_the_caller_do_not_want(library: Library) -> None:
    await ask(library, "pia")
    cast("Moody", library.platform).fails = _raising(NotDispatched("connection refused"))
    later(library, 14 * DAY)
    assert how(await ask(library, "pia")) == ("stale", 0)
    assert how(await ask(library, "pia", f"max-age={20 * DAY}")) == ("stale", 0)
    for cache_control in ("no-cache", f"max-age={2 * DAY}", "only-if-cached"):
        assert isinstance(await ask(library, "pia", cache_control), TurnedDown)
    later(library, DAY)
    assert isinstance(await ask(library, "pia"), TurnedDown)


async def test_what_is_past_its_time_serves_when_the_quota_is_spent(tmp_path: Path) -> None:
    limits = {"requests/day": 2, "records/day": 1_000}
    async with opened_library(
        tmp_path, projects=PEOPLE, platform=Moody(videos=20_000), limits=limits, reuse=REUSE
    ) as library:
        await ask(library, "pia")
        await ask(library, "ada")
        later(library, 25 * HOUR)
        refused = await ask(library, "ada")
        assert isinstance(refused, TurnedDown)
        assert isinstance(refused.error, QuotaExhausted)
        answer = await ask(library, "pia")
        assert how(answer) == ("stale", 0)
        assert isinstance(answer, Delivered)
        assert answer.overdue is not None
        assert not answer.overdue.is_asked
        assert library.platform.requests() == 2


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_answer_is_older_than_it_may_be_and_none_has_what_vanished_before_it_was_fetched(
    library: Library, seed: int
) -> None:
    rng, clock, state = random.Random(seed), library.installation.clock, library.platform.state
    gone: dict[int, dt.datetime] = {}
    today = clock.now().date()
    spans = [("20261001", "20261007"), ("20261002", "20261004")]
    spans.append((f"{today - dt.timedelta(days=4):%Y%m%d}", f"{today:%Y%m%d}"))
    hows = set[str]()
    for _ in range(60):
        later(library, rng.choice([0, 0, 5 * MINUTE, 40 * MINUTE, 3 * HOUR, 13 * HOUR]))
        who, (first, last) = rng.choice(["ada", "ben", "hal", "pia"]), rng.choice(spans)
        wish = rng.choice(["", "", "", "no-cache", "max-age=600", "max-age=7200", "only-if-cached"])
        asked_at = clock.now()
        answer = await ask(
            library, who, wish, start_date=first, end_date=last, max_count=rng.choice([20, 50, 100])
        )
        if isinstance(answer, TurnedDown):
            assert wish == "only-if-cached"
            continue
        now, hows = clock.now(), hows | {answer.how}
        fetched_at = now - dt.timedelta(seconds=answer.age_s)
        is_recent = dt.date.fromisoformat(last) > fetched_at.date() - dt.timedelta(days=3)
        lasts_s = (MINUTE if is_recent else HOUR) if who == "hal" else 6 * HOUR if is_recent else DAY
        wished_s = {"max-age=600": 600, "max-age=7200": 7_200, "no-cache": 0}.get(wish, lasts_s)
        assert fetched_at >= asked_at - dt.timedelta(seconds=min(lasts_s, wished_s) + 1)
        found = videos(answer)
        a_second_before = fetched_at - dt.timedelta(seconds=1)
        assert not [each for each in found if each in gone and gone[each] < a_second_before]
        if found and rng.random() < 0.5:
            vanishing = rng.choice(found)
            state.delete(videos=[vanishing], comments=(), users=())
            gone.setdefault(vanishing, clock.now())
    assert {"hit", "miss", "request"} <= hows
