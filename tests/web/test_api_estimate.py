"""What a price says to whom; that prices hold is told by tests/quota and tests/journey."""

import random
from collections import Counter
from typing import Any

import pytest

from app.administration.acts import set_limits
from app.provider.endpoint import Endpoint
from app.provider.endpoints import ENDPOINTS
from app.quota.arithmetic import Dimension, Window
from tests.web.conftest import OPERATOR, House

pytestmark = pytest.mark.anyio
PATH = "/api/v1/estimate"
QUERY: dict[str, Any] = {
    "query": {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]},
    "start_date": "20260901",
    "end_date": "20260930",
    "max_count": 100,
}
ASKED: dict[str, Any] = {"query": QUERY, "fields": ["id"]}


async def told(house: House, who: str, status: int = 200, **asked: Any) -> Any:
    answer = await house.ask(who, "POST", PATH, json={**ASKED, **asked})
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_key_implies_its_project_and_its_person(shared_house: House) -> None:
    found = await told(shared_house, "key:bob")
    assert (found["project"], found["person"]) == ("elections", "bob@example.edu")
    assert await told(shared_house, "key:bob", project="elections", person="bob@example.edu") == found
    for other in ({"project": "health"}, {"person": "ada@example.edu"}, {"person": "nobody@nowhere.edu"}):
        assert (await told(shared_house, "key:bob", 404, **other))["code"] == "not_found"


async def test_a_person_names_a_project_of_theirs(shared_house: House) -> None:
    assert "project is missing" in (await told(shared_house, "bob", 400))["detail"]
    assert (await told(shared_house, "bob", project="elections"))["person"] == "bob@example.edu"
    await told(shared_house, "bob", 404, project="health")
    await told(shared_house, "bob", 404, project="elections", person="ada@example.edu")


async def test_a_lead_may_ask_for_the_members_of_their_project(shared_house: House) -> None:
    assert (await told(shared_house, "ada", project="elections"))["person"] == "ada@example.edu"
    found = await told(shared_house, "ada", project="elections", person="bob@example.edu")
    assert found["person"] == "bob@example.edu"
    await told(shared_house, "ada", 404, project="elections", person="grace@example.edu")


@pytest.mark.parametrize("who", ["quota", "it"])
async def test_administrators_ask_for_any_project_with_or_without_a_person(
    shared_house: House, who: str
) -> None:
    whole = await told(shared_house, who, project="elections")
    assert (whole["person"], whole["would_be_refused_by"]) == (None, None)
    one = await told(shared_house, who, project="elections", person="bob@example.edu")
    assert one["person"] == "bob@example.edu"
    no_member = await told(shared_house, who, 404, project="elections", person="grace@example.edu")
    assert "no member" in no_member["detail"]


async def test_what_a_rule_would_refuse_is_priced_and_says_which_rule_and_why(shared_house: House) -> None:
    found = await told(shared_house, "key:bob")
    assert found["would_be_refused_by"]["rule"].startswith("terms-accepted/")
    assert "have not accepted terms version 2026-02" in found["would_be_refused_by"]["reason"]
    assert found["requests"]["likely"] > 0


async def test_what_a_limit_would_refuse_says_so_and_for_how_long(house: House) -> None:
    key = (Dimension.REQUESTS, Window.PROJECT)
    await set_limits(house.office, OPERATOR, scope="project:health", amounts={key: 0})
    await house.ask("grace", "POST", "/api/v1/me/terms/2026-02/acceptance")
    found = await told(house, "key:grace")
    for who, person in (("it", None), ("grace", "grace@example.edu")):
        seen = await told(house, who, project="health")
        assert (seen["person"], seen["would_be_refused_by"]) == (person, found["would_be_refused_by"])
    assert found["would_be_refused_by"]["rule"] == "quota"
    assert "project-requests-project of 0" in found["would_be_refused_by"]["reason"]
    assert found["days_at_todays_limits"] == {
        "likely": None,
        "high": None,
        "limited_by": "project-requests-project",
    }


async def test_days_are_those_of_the_tightest_of_the_askers_limits(shared_house: House) -> None:
    # Nothing is known, so a window is 10 requests likely and 1,000 at most; bob may make 100 a day, his project 300.
    bob = (await told(shared_house, "bob", project="elections"))["days_at_todays_limits"]
    assert bob == {"likely": 1, "high": 10, "limited_by": "member-requests-day"}
    project = (await told(shared_house, "it", project="elections"))["days_at_todays_limits"]
    assert project == {"likely": 1, "high": 4, "limited_by": "project-requests-day"}


async def test_where_nothing_is_known_the_price_says_how_unsure_it_is(shared_house: House) -> None:
    found = await told(shared_house, "key:bob")
    assert (found["basis"], found["confidence"]) == ("default", "low")
    assert found["requests"] == {"low": 1, "likely": 10, "high": 1_000}
    assert found["held"] == {"requests_saved": 0, "records": 0, "is_complete": False, "until": None}
    assert "first page" in found["because"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({**QUERY, "start_date": "20260231"}, "start_date is '20260231'"),
        ({**QUERY, "start_date": "20261001"}, "start_date 20261001 is after end_date 20260930"),
        ({**QUERY, "query": {}}, "query has no conditions"),
        ({**QUERY, "max_count": 101}, "max_count is 101"),
        ({"query": QUERY["query"], "end_date": "20260930"}, "start_date is missing"),
        ({**QUERY, "Max_Count": 5}, "write it max_count"),
        ({**QUERY, "start_date": "19000101"}, "more than 400 windows"),
    ],
)
async def test_a_malformed_query_is_refused_as_it_would_be_if_it_were_sent(
    shared_house: House, query: dict[str, Any], says: str
) -> None:
    refused = await told(shared_house, "key:bob", 400, query=query)
    assert refused["code"] == "invalid_params"
    assert says in refused["detail"]


@pytest.mark.parametrize(
    "asked",
    [
        {"endpoint": "video/like"},
        {"fields": ["nothing"]},
        {"window_days": 31},
        {"window_days": 0},
        {"query": [QUERY]},
        {"unknown": 1},
    ],
)
async def test_what_the_body_of_the_request_itself_cannot_be_is_refused(
    shared_house: House, asked: dict[str, Any]
) -> None:
    assert (await told(shared_house, "key:bob", 400, **asked))["code"] == "invalid_params"


async def test_a_long_range_is_cut_into_windows_and_summed_up(shared_house: House) -> None:
    body = {**QUERY, "start_date": "20260801"}
    found = await told(shared_house, "key:bob", query=body)
    days = [(each["start_date"], each["end_date"]) for each in found["windows"]]
    assert days == [("2026-08-01", "2026-08-30"), ("2026-08-31", "2026-09-29"), ("2026-09-30", "2026-09-30")]
    assert found["requests"]["likely"] == sum(each["requests"]["likely"] for each in found["windows"])
    weekly = await told(shared_house, "key:bob", query=body, window_days=7)
    assert len(weekly["windows"]) == 9
    assert any("9 windows" in each for each in weekly["notes"])


async def test_notes_name_what_would_make_it_cheaper_or_more_exact(shared_house: House) -> None:
    # Full pages are fetched where a cursor counts records, so a small one is no dearer there.
    assert (await told(shared_house, "key:bob", query={**QUERY, "max_count": 20}))["notes"] == []
    ads = {"filters": {"ad_published_date_range": {"min": "20260901", "max": "20260930"}}, "max_count": 10}
    small = await told(shared_house, "key:bob", endpoint="adlib/ad/query", fields=["ad.id"], query=ads)
    assert small["notes"] == ["max_count is 10; with 50 the same records take up to 5 times fewer requests."]
    young = await told(
        shared_house, "key:bob", query={**QUERY, "start_date": "20360101", "end_date": "20360102"}
    )
    assert young["requests"] == {"low": 1, "likely": 1, "high": 1}
    assert "found late" in young["notes"][0]
    answer = await shared_house.ask("key:bob", "POST", PATH, json={"query": QUERY})
    assert "No fields were named" in answer.json()["notes"][0]


async def test_a_random_sample_is_one_call_that_is_never_held(shared_house: House) -> None:
    found = await told(shared_house, "key:bob", query={**QUERY, "is_random": True})
    assert (found["basis"], found["requests"]["high"], found["records"]["high"]) == ("one call", 1, 100)


def example(endpoint: Endpoint) -> dict[str, Any]:
    body = {key.name: key.example for key in endpoint.keys if key.example is not None}
    if "category" in body:
        body["file_data"] = "7612345678901234567\n"
    missing = {key.name: 7 for key in endpoint.keys if key.is_required and key.name not in body}
    return {**missing, **body}


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
async def test_every_endpoint_has_a_price(shared_house: House, endpoint: Endpoint) -> None:
    found = await told(
        shared_house,
        "key:bob",
        endpoint=endpoint.name,
        query=example(endpoint),
        fields=sorted(endpoint.fields),
    )
    assert 1 <= found["requests"]["low"] <= found["requests"]["likely"] <= found["requests"]["high"]
    is_one_call = endpoint.paging is None or not endpoint.paging.answers_has_more
    if is_one_call and endpoint.cursor.name != "NUMBER":
        assert (found["basis"], found["requests"]["high"]) == ("one call", 1)
    if not endpoint.counts_records:
        assert found["records"]["high"] == 0


ATOMS: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**63 - 1, 2**64 - 1, 1.5, 1e308, "", "\x00", "é\u2028", [], {}, [[]], {"a": {}}),
    *("20260901", "2026-09-30", "99991231", "00010101", "0000", "1" * 30, {"min": 1, "max": []}),
)


def spoiled(rng: random.Random, value: Any) -> Any:
    """The value with something wrong in it, or a key more or less."""
    if rng.random() < 0.15:
        return rng.choice(ATOMS)
    if isinstance(value, dict):
        kept = {key: spoiled(rng, each) for key, each in value.items() if rng.random() > 0.1}
        more = ("cursor", "search_id", "fields", "max_count", "is_random", "page_start", "Fields", "\x00")
        return {**kept, rng.choice(more): rng.choice(ATOMS)} if rng.random() < 0.3 else kept
    return [spoiled(rng, each) for each in value] if isinstance(value, list) else value


async def test_whatever_is_asked_is_priced_or_refused_and_never_a_bug(shared_house: House) -> None:
    statuses = Counter[int]()
    for seed in range(200):
        rng = random.Random(seed)
        endpoint = rng.choice(list(ENDPOINTS.values()))
        asked = {"endpoint": endpoint.name, "query": spoiled(rng, example(endpoint))}
        answer = await shared_house.ask("key:bob", "POST", PATH, json=asked)
        assert answer.status_code in {200, 400}, (asked, answer.text)
        statuses[answer.status_code] += 1
    assert min(statuses.values()) > 20


async def test_a_body_may_be_as_large_as_the_platforms_and_no_larger(shared_house: House) -> None:
    def body(values: int) -> dict[str, Any]:
        names = [f"sim_user_{number}" for number in range(values)]
        condition = {"field_name": "username", "operation": "IN", "field_values": names}
        return {**QUERY, "query": {"and": [condition]}}

    await told(shared_house, "key:bob", query=body(2_000))
    await told(shared_house, "key:bob", 413, query=body(20_000))


async def test_the_answer_has_its_documented_shape(shared_house: House) -> None:
    document = shared_house.app.openapi()
    operation = document["paths"][PATH]["post"]
    shape = document["components"]["schemas"]["EstimateShape"]
    found = await told(shared_house, "key:bob")
    assert set(found) == set(shape["properties"]) == set(shape["example"])
    assert set(found["windows"][0]) == set(shape["example"]["windows"][0])
    wanted = document["components"]["schemas"]["EstimateWanted"]["example"]
    assert (await shared_house.ask("it", "POST", PATH, json=wanted)).status_code == 200
    assert {"200", "400", "401", "403", "404", "413", "503"} <= set(operation["responses"])
