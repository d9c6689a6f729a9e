"""Tags of what is shown, and changes that hold only for what was seen."""

import asyncio
import datetime as dt
from typing import Any

import httpx
import pytest

from app.errors import InvalidParams
from app.web.api.conditions import Tags, parse_tags
from tests.web.conftest import House

pytestmark = pytest.mark.anyio

BOB = "/people/bob@example.edu"
# A thing, and two changes of it that differ.
CHANGES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    BOB: ("PATCH", {"name": "Bob"}, {"name": "Robert"}),
    "/projects/health": (
        "PATCH",
        {"approval": {"reference": "R-1", "from": "2026-01-01", "until": "2036-06-30"}},
        {"lead": None},
    ),
    "/projects/elections/members/bob@example.edu": ("PUT", {"until": "2036-01-01"}, {}),
    "/terms/2026-02": ("PATCH", {"grace_days": 10}, {"title": "Terms"}),
    "/credentials/main": (
        "PATCH",
        {"roster_limit": 9},
        {"roster_limit": 12, "permission": {"reference": "Mail of today"}},
    ),
    "/projects/health/reuse": ("PUT", {"stale": True}, {"cache_control": "ignore"}),
    "/rules/date-span": ("PUT", {"mode": "warn"}, {"mode": "shadow"}),
}


async def asked(house: House, method: str, path: str, *, who: str = "it", **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {house.tokens[who]}"}
    for name in ("match", "none_match"):
        if name in options:
            headers[f"If-{name.replace('_', '-').title()}"] = options.pop(name)
    return await house.client.request(method, f"/api/v1{path}", headers=headers, **options)


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        ([], None),
        (["*"], Tags(is_any=True)),
        (['"a"'], Tags(tags=('"a"',))),
        (['W/"a"'], Tags(tags=('W/"a"',))),
        (['"a", W/"b,c" ,"d"'], Tags(tags=('"a"', 'W/"b,c"', '"d"'))),
        (['"a"', '"b"'], Tags(tags=('"a"', '"b"'))),
        (['"a",, "b",'], Tags(tags=('"a"', '"b"'))),
        (['""'], Tags(tags=('""',))),
    ],
)
def test_a_list_of_tags_is_read_as_it_is_written(lines: list[str], tags: Tags | None) -> None:
    assert parse_tags("If-Match", lines) == tags


@pytest.mark.parametrize(
    "line", ["", "a", '"a', 'w/"a"', '"a" "b"', '*, "a"', '"a b"', "W/a", "'a'", '"a",' * 2_000]
)
def test_what_is_no_list_of_tags_is_refused(line: str) -> None:
    with pytest.raises(InvalidParams, match="If-Match holds the ETag"):
        parse_tags("If-Match", [line])


def test_a_change_is_compared_strongly_and_a_copy_weakly() -> None:
    weak = Tags(tags=('W/"a"',))
    assert (weak.has('"a"'), weak.has_weakly('"a"'), weak.has_weakly('"b"')) == (False, True, False)
    assert (Tags(is_any=True).has('"a"'), Tags(is_any=True).has(None)) == (True, False)


@pytest.mark.parametrize("path", CHANGES)
async def test_only_whoever_saw_the_newest_changes_it(house: House, path: str) -> None:
    method, first, second = CHANGES[path]
    seen = await asked(house, "GET", path)
    tag = seen.headers["etag"]
    assert (await asked(house, "GET", path)).headers["etag"] == tag

    done = await asked(house, method, path, match=tag, json=first)
    assert done.status_code == 200, done.text
    now = await asked(house, "GET", path)
    assert done.headers["etag"] == now.headers["etag"] != tag
    assert now.json() != seen.json()

    late = await asked(house, method, path, match=tag, json=second)
    assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile"), late.text
    assert "nothing was changed" in late.json()["detail"]
    assert (await asked(house, "GET", path)).json() == now.json()

    again = await asked(house, method, path, match=now.headers["etag"], json=second)
    assert again.status_code == 200, again.text
    assert (await asked(house, "GET", path)).json() != now.json()


@pytest.mark.parametrize(
    "path",
    [
        "/people/nobody@example.edu",
        "/projects/health",
        "/terms/2026-02",
        "/projects/elections/members/bob@example.edu",
    ],
)
async def test_what_was_changed_meanwhile_is_not_ended(house: House, path: str) -> None:
    tag = (await asked(house, "GET", path)).headers["etag"]
    assert (await asked(house, "DELETE", path, match='"another"')).status_code == 412
    assert (await asked(house, "GET", path)).status_code == 200
    assert (await asked(house, "DELETE", path, match=tag)).status_code == 204
    assert (await asked(house, "DELETE", path, match=tag)).status_code == 404
    assert (await asked(house, "GET", path)).status_code == 404


async def test_a_key_and_a_raise_are_ended_only_as_they_were_seen(house: House) -> None:
    key = f"/keys/{house.keys['bob'].key_id}"
    tag = (await asked(house, "GET", key)).headers["etag"]
    for method, path in (("POST", f"{key}/rotation"), ("DELETE", key)):
        refused = await asked(house, method, path, match='"nope"')
        assert (refused.status_code, refused.json()["code"]) == (412, "changed_meanwhile")
    assert (
        await asked(house, "POST", f"{key}/rotation", match=tag, json={"overlap_s": 60})
    ).status_code == 200
    assert (await asked(house, "DELETE", key, match=tag)).status_code == 412
    now = (await asked(house, "GET", key)).headers["etag"]
    assert (await asked(house, "DELETE", key, match=now)).status_code == 204

    wanted = {
        "scope": "project:health",
        "key": "requests/day",
        "amount": 5,
        "until": f"{dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)}",
        "reason": "a test",
    }
    made = await asked(house, "POST", "/raises", json=wanted)
    raised = f"/raises/{made.json()['id']}"
    assert (await asked(house, "DELETE", raised, match='"nope"')).status_code == 412
    tag = (await asked(house, "GET", raised)).headers["etag"]
    assert (await asked(house, "DELETE", raised, match=tag)).status_code == 204


async def test_a_secret_is_replaced_only_of_the_credential_that_was_seen(house: House) -> None:
    path = "/credentials/main/rotation"
    assert (
        await asked(house, "POST", path, match='"nope"', json={"client_secret": "from-the-platform-9d1b"})
    ).status_code == 412
    tag = (await asked(house, "GET", "/credentials/main")).headers["etag"]
    done = await asked(house, "POST", path, match=tag, json={"client_secret": "from-the-platform-9d1b"})
    assert done.json() == {"has_changed": True}, done.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/freezes/project/health", {"reason": "a test"}),
        ("DELETE", "/freezes/project/health", None),
        ("PUT", "/me/notices", {"without": []}),
        ("PUT", "/limits", {"scope": "project:health", "key": "requests/day", "amount": 1}),
        ("POST", "/people", {"email": "zoe@example.edu", "name": "Zoe", "roles": []}),
    ],
)
@pytest.mark.parametrize("condition", ["match", "none_match"])
async def test_a_condition_that_would_not_count_is_refused(
    shared_house: House, method: str, path: str, body: dict[str, Any] | None, condition: str
) -> None:
    refused = await asked(shared_house, method, path, json=body, **{condition: '"nope"'})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_params")
    assert "does not count here" in refused.json()["detail"]
    assert (await asked(shared_house, "GET", "/freezes")).json()["items"] == []


async def test_of_changes_at_once_by_those_who_saw_the_same_exactly_one_is_made(house: House) -> None:
    tag = (await asked(house, "GET", BOB)).headers["etag"]
    names = [f"Bob {number}" for number in range(6)]
    answers = await asyncio.gather(
        *(asked(house, "PATCH", BOB, match=tag, json={"name": name}) for name in names)
    )
    assert sorted(each.status_code for each in answers) == [200] + [412] * 5
    (winner,) = [each.json()["name"] for each in answers if each.status_code == 200]
    assert (await asked(house, "GET", BOB)).json()["name"] == winner


async def test_without_a_condition_changes_at_once_keep_what_they_do_not_speak_about(house: House) -> None:
    path = "/projects/health"
    approval = {"reference": "R-9", "from": "2026-01-01", "until": "2036-06-30"}
    answers = await asyncio.gather(
        asked(house, "PATCH", path, json={"approval": approval}),
        asked(house, "PATCH", path, json={"lead": None}),
        asked(house, "PUT", f"{path}/members/bob@example.edu", json={}),
        asked(house, "PATCH", path, json={"allow": {"endpoints": ["user/info"]}}),
    )
    assert [each.status_code for each in answers] == [200, 200, 201, 200]
    now = (await asked(house, "GET", path)).json()
    assert (now["approval"], now["lead"], now["allow"]) == (approval, None, {"endpoints": ["user/info"]})
    assert [each["person"] for each in now["members"]] == ["bob@example.edu", "grace@example.edu"]


@pytest.mark.parametrize(
    ("match", "status"),
    [
        ("*", 200),
        ('"x", TAG', 200),
        ("TAG, TAG", 200),
        ("W/TAG", 412),
        ('"x"', 412),
        ("bare", 400),
        ("", 400),
    ],
)
async def test_a_condition_is_read_as_http_says(shared_house: House, match: str, status: int) -> None:
    seen = await asked(shared_house, "GET", BOB)
    line = match.replace("TAG", seen.headers["etag"])
    answer = await asked(shared_house, "PATCH", BOB, match=line, json={"name": seen.json()["name"]})
    assert answer.status_code == status, answer.text


async def test_whoever_has_it_is_not_sent_it_again(shared_house: House) -> None:
    seen = await asked(shared_house, "GET", BOB)
    tag = seen.headers["etag"]
    for line in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await asked(shared_house, "GET", BOB, none_match=line)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert answer.headers["cache-control"] == "no-store"
    assert (await asked(shared_house, "GET", BOB, none_match='"x"')).json() == seen.json()
    assert (await asked(shared_house, "GET", BOB, none_match="x")).status_code == 400
    assert (await asked(shared_house, "GET", BOB, match='"x"')).status_code == 412
    assert (await asked(shared_house, "GET", BOB, match=tag)).json() == seen.json()


async def test_a_member_is_added_only_where_there_is_none(house: House) -> None:
    path = "/projects/health/members/bob@example.edu"
    assert (await asked(house, "PUT", path, match="*", json={})).status_code == 412
    assert (await asked(house, "GET", path)).status_code == 404
    assert (await asked(house, "PUT", path, none_match="*", json={})).status_code == 201
    late = await asked(house, "PUT", path, none_match="*", json={"until": "2036-01-01"})
    assert late.status_code == 412
    assert (await asked(house, "GET", path)).json()["until"] is None


async def test_a_tag_stands_for_what_the_asker_sees(shared_house: House) -> None:
    path = "/projects/elections"
    lead, member = [await asked(shared_house, "GET", path, who=who) for who in ("ada", "bob")]
    assert lead.json() != member.json()
    assert lead.headers["etag"] != member.headers["etag"]


async def test_a_limit_is_set_only_if_it_is_what_was_seen(house: House) -> None:
    wanted = {"scope": "project:health", "key": "requests/day", "amount": 250}
    for was in (None, 300):
        late = await asked(house, "PUT", "/limits", json={**wanted, "was": was})
        assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile")
        assert "is 200 by now" in late.json()["detail"]
    assert (await asked(house, "PUT", "/limits", json={**wanted, "was": 200})).json()["has_changed"]
    fresh = {"scope": "project:health", "key": "records/day", "amount": 9}
    assert (await asked(house, "PUT", "/limits", json={**fresh, "was": None})).json()["has_changed"]
    answers = await asyncio.gather(
        *(asked(house, "PUT", "/limits", json={**wanted, "amount": each, "was": 250}) for each in (1, 2, 3))
    )
    assert sorted(each.status_code for each in answers) == [200, 412, 412]
