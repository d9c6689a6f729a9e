"""Search ids that the platform refuses: unknown, not ripe yet, and expired within a crawl."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.clients.cast import ACTS, Actor
from tests.clients.errands import Errand
from tests.clients.places import Place
from tests.clients.runs import Run
from tests.clients.tables import cells_of
from tests.clients.wire import Watch, after, messages_of

SETTINGS = {"BURSAR_PAGE_TTL_S": "0"}

# get_videos_hashtag is get_videos_query with another question, and takes no search id.
SEARCHERS = [each for each in ACTS if each.endpoint == "video/query" and each.act != "get_videos_hashtag"]
UNKNOWN = "7612400000000000001"

# How each ends with a search id that nobody knows; with a good one that is refused twice before it is ripe;
# with a search that fails twice before its result is there; and with an id that expires after the first page.
# fmt: off
TABLE = """
                                      unknown                                  unripe           cold  expired
TikTokResearchApi.query_videos        part+59x1s                               whole+2x1s       =     part+59x1s
tiktok_research_api_helper.fetch_all  InvalidSearchIdError+1x5s+1x10s+1x15s    whole+1x5s+1x10s =     part+1x5s+1x10s+1x15s
researchtikpy.get_videos_query        GoesOnForeverError+98x10s                whole+2x10s      =     GoesOnForeverError+97x10s
R                                     httr2_http_400+4x?s                      whole+2x?s       =     httr2_http_400+4x?s
"""
# fmt: on


def _ripen(place: Place) -> Watch:
    """Let the search id be unripe after the first page, until it has been tried twice."""

    def watch(requests_so_far: int) -> None:
        if requests_so_far in {1, 3}:
            place.turn(search_id_warmup_s=3_600 if requests_so_far == 1 else 0)

    return watch


def _begin_cold(place: Place) -> Watch:
    place.turn(cold_search_failures=2)
    return after(0, lambda: None)


def _expire(place: Place) -> Watch:
    return after(1, lambda: place.turn(search_id_ttl_s=0.001))


TROUBLES: dict[str, Callable[[Place], Watch]] = {
    "unripe": _ripen,
    "cold": _begin_cold,
    "expired": _expire,
}


def named_in(run: Run) -> set[str]:
    """The search ids that refusals name."""
    messages = [exchange.error["message"] for exchange in run.research if exchange.status >= 400]
    return {message.split()[2] for message in messages if message.startswith("Search Id ")}


def held_by(run: Run) -> set[str]:
    """The search ids that the client was given."""
    return {
        exchange.json["data"]["search_id"]
        for exchange in run.research
        if exchange.json and exchange.status == 200
    }


def go_on(actor: Actor, place: Place, errand: Errand) -> tuple[Run, Run]:
    """The errand without Bursar, and through it."""
    place.start_anew()
    expected = actor.run(place.direct, errand)
    place.log.news()
    met = actor.run(place.through("elections"), errand)
    place.log.holds(met.exchanges)
    return expected, met


@pytest.mark.parametrize("actor", SEARCHERS, ids=str)
def test_an_unknown_search_id_is_refused_in_the_platforms_words(actor: Actor, place: Place) -> None:
    errand = place.subjects.short("video/query")
    place.start_anew()
    whole = actor.run(place.direct, errand)
    expected, met = go_on(actor, place, replace(errand, search_id=UNKNOWN))
    without, through = cells_of(TABLE, actor)["unknown"]
    assert expected.verdict(whole) == without == through
    assert met.behaviour == expected.behaviour
    assert named_in(met) == {UNKNOWN}
    assert [each.error["message"] for each in met.research] == [
        each.error["message"] for each in expected.research
    ]


@pytest.mark.parametrize(
    "actor",
    [each for each in ACTS if each.endpoint in {"adlib/ad/query", "adlib/commercial_content/query"}],
    ids=str,
)
def test_an_unknown_search_id_of_the_ads_library_is_refused_as_by_the_platform(
    actor: Actor, place: Place
) -> None:
    errand = replace(place.subjects.short(actor.endpoint), search_id=UNKNOWN)
    expected, met = go_on(actor, place, errand)
    assert expected.raised == "httr2_http_400"
    assert met.behaviour == expected.behaviour
    assert [each.error["message"] for each in met.research] == [
        each.error["message"] for each in expected.research
    ]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("actor", SEARCHERS, ids=str)
def test_a_search_that_is_refused_in_the_middle_ends_as_without_bursar(
    actor: Actor, trouble: str, place: Place
) -> None:
    errand = place.subjects.short("video/query")
    place.start_anew()
    whole = actor.run(place.direct, errand)
    place.start_anew()
    expected = actor.run(place.direct, errand, TROUBLES[trouble](place))
    place.start_anew()
    place.log.news()
    watch = TROUBLES[trouble](place)
    met = actor.run(place.through("elections"), errand, watch)
    place.log.holds(met.exchanges)
    without, through = cells_of(TABLE, actor)[trouble]
    assert (expected.verdict(whole), met.verdict(whole)) == (without, through)
    assert met.behaviour == expected.behaviour
    assert messages_of(met.research) == messages_of(expected.research)
    assert messages_of(met.research) != []
    assert named_in(met) <= held_by(met)
    assert met.data == expected.data


@pytest.mark.parametrize("actor", SEARCHERS, ids=str)
def test_a_search_id_of_bursars_goes_on_where_it_was_left_with_another_token(
    actor: Actor, place: Place
) -> None:
    errand = place.subjects.short("video/query")
    place.start_anew()
    wholes = [actor.run(side, errand) for side in (place.direct, place.through("elections"))]
    expected, met = (
        actor.run(side, replace(errand, search_id=held_by(whole).pop()))
        for side, whole in zip((place.direct, place.through("elections")), wholes, strict=True)
    )
    assert expected.raised is None
    assert expected.data[0] == wholes[0].data[1]
    assert met.behaviour == expected.behaviour
    assert met.data == expected.data
