import datetime as dt
import gzip
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from app.errors import AuditUnavailable, BursarError, LogBroken, RateLimited
from app.web.api.access import ACCESS
from app.web.errors import STATUS_OF_CODE
from app.web.hints import through_the_api
from app.web.problems import problem_of
from tests.web.conftest import House
from tests.web.hinting import lists_of_the_command_line

pytestmark = pytest.mark.anyio
LISTS = ("/people", "/projects", "/limits", "/keys", "/terms", "/me/terms", "/audit/entries")
PROJECT = b'{"project":"elections"}'
BODIES: dict[str, tuple[bytes, str, int]] = {
    "no JSON": (b"{project", "application/json", 400),
    "no object": (b'["elections"]', "application/json", 400),
    "a key twice": (b'{"project":"elections","project":"health"}', "application/json", 400),
    "an unknown key": (b'{"project":"elections","role":"admin"}', "application/json", 400),
    "a wrong type": (b'{"project":{"name":"elections"}}', "application/json", 400),
    "NaN": (b'{"project":NaN}', "application/json", 400),
    "a lone surrogate": (b'{"project":"\\ud800"}', "application/json", 400),
    "no UTF-8": (b'{"project":"\xff"}', "application/json", 400),
    "depth": (b'{"project":' + b"[" * 9000 + b"]" * 6000 + b"}", "application/json", 400),
    "another media type": (PROJECT, "text/plain", 415),
    "a form": (b"project=elections", "application/x-www-form-urlencoded", 415),
    "no media type": (PROJECT, "", 415),
    "another charset": (PROJECT, "application/json; charset=latin-1", 415),
    "the charset of JSON, quoted": (PROJECT[:-1], 'application/json; Charset="UTF-8"', 400),
    "no body": (b"", "application/json", 400),
    "too many bytes": (b" " * 20_000 + PROJECT, "application/json", 413),
}


def sound(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:bursar:problem:{code}")
    assert body["title"]
    assert body["detail"]
    return body


async def logged(house: House, entry: str) -> dict[str, Any]:
    found: dict[str, Any] = (await house.get("dpo", f"/api/v1/audit/entries/{entry}")).json()["entry"]
    return found


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/v1", "/api/v1/", "/api/v1/nowhere", "/api/v1/me/", "/api/v2/me"]
)
@pytest.mark.parametrize("who", ["-", "it"])
async def test_a_path_that_is_not_there_is_a_problem_with_its_entry(
    shared_house: House, path: str, who: str
) -> None:
    body = sound(await shared_house.get(who, path), 404, "not_found")
    entry = await logged(shared_house, body["entry"])
    assert (entry["status"], entry["decision"]["verdict"]) == (404, "refused")
    assert entry["decision"]["code"] == "not_found"


@pytest.mark.parametrize(("method", "path"), [("PUT", "/me"), ("DELETE", "/keys")])
async def test_another_method_is_a_problem_that_names_those_there_are(
    shared_house: House, method: str, path: str
) -> None:
    answer = await shared_house.ask("it", method, f"/api/v1{path}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == ("GET, HEAD, POST" if path == "/keys" else "GET, HEAD")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_every_route_refuses_parameters_that_it_does_not_know(shared_house: House) -> None:
    paths = shared_house.app.openapi()["paths"]
    for path, methods in paths.items():
        if path.startswith("/v2/"):
            continue
        for method, operation in methods.items():
            access = ACCESS[operation["operationId"]]
            roles = {"it": "admin", "dpo": "compliance", "ada": "researcher"}
            who = next(name for name, role in roles.items() if access.is_open_to({role}))
            filled = (
                path.replace("{version}", "2024-10").replace("{name}", "health").replace("{id}", "0" * 12)
            )
            answer = await shared_house.ask(who, method.upper(), f"{filled}?colour=blue")
            assert "'colour'" in sound(answer, 400, "invalid_params")["detail"], path


@pytest.mark.parametrize("path", LISTS)
async def test_a_parameter_given_twice_or_out_of_range_is_refused(shared_house: House, path: str) -> None:
    for query in ("limit=1&limit=2", "limit=0", "limit=201", "limit=x", "limit="):
        sound(await shared_house.get("dpo", f"/api/v1{path}?{query}"), 400, "invalid_params")


@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_that_is_not_what_it_should_be_is_refused(shared_house: House, kind: str) -> None:
    body, media_type, status = BODIES[kind]
    answer = await shared_house.client.post(
        "/api/v1/keys",
        content=body,
        headers={"Authorization": f"Bearer {shared_house.tokens['it']}", "Content-Type": media_type},
    )
    code = {413: "body_too_large", 415: "unsupported_media_type"}.get(status, "invalid_params")
    detail = sound(answer, status, code)["detail"]
    assert "valid dictionary" not in detail
    assert "username" not in detail


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_body_that_is_encoded_is_refused_unread(shared_house: House, encoding: str) -> None:
    answer = await shared_house.client.post(
        "/api/v1/keys",
        content=gzip.compress(PROJECT) if encoding == "gzip" else PROJECT,
        headers={
            "Authorization": f"Bearer {shared_house.tokens['it']}",
            "Content-Type": "application/json",
            "Content-Encoding": encoding,
        },
    )
    body = sound(answer, 415, "unsupported_media_type")
    assert "without Content-Encoding" in body["detail"]
    assert (await logged(shared_house, body["entry"]))["decision"]["code"] == "unsupported_media_type"


async def test_a_problem_never_repeats_a_value_that_might_be_a_secret(shared_house: House) -> None:
    secret = shared_house.keys["bob"].client_secret
    answer = await shared_house.ask(
        "it", "POST", "/api/v1/keys", json={"project": [secret], "expires": secret}
    )
    body = sound(answer, 400, "invalid_params")
    assert {each["at"] for each in body["errors"]} == {"body.project", "body.expires"}
    assert secret not in answer.text


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic aTpw",
        "Bearer nonsense",
        "Bearer \x00",
        "bearer clt.abc",
        "Bearer é",
    ],
)
async def test_without_a_bearer_token_that_holds_nothing_is_said_but_how_to_get_one(
    shared_house: House, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    answer = await shared_house.client.post(
        "/api/v1/keys?colour=blue",
        content=b"{no json",
        headers=headers,  # type: ignore[arg-type]
    )
    body = sound(answer, 401, "access_token_invalid")
    assert answer.headers["www-authenticate"] == 'Bearer realm="bursar"'
    assert (await logged(shared_house, body["entry"]))["actor"] == {"kind": "unknown"}


async def test_a_wrong_secret_an_unknown_id_and_a_revoked_token_look_alike(shared_house: House) -> None:
    house = shared_house
    house.tokens["wrong"] = house.mint.secret(house.keys["bob"].key_id).text
    house.tokens["unknown"] = house.mint.secret(house.mint.key_id()).text
    answers = [(await house.get(who, "/api/v1/me")).json() for who in ("wrong", "unknown", "-")]
    assert {each.pop("entry") != "" for each in answers} == {True}
    assert answers[0] == answers[1] == answers[2]


async def test_every_request_is_logged_with_who_asked_and_for_what(shared_house: House) -> None:
    for who, kind in (("bob", "person"), ("key:bob", "key")):
        answer = await shared_house.get(who, "/api/v1/me")
        index = int(answer.headers["audit-entry"].split("index=")[1].split(";")[0])
        newest = await shared_house.get("dpo", f"/api/v1/audit/entries?before={index + 1}&limit=1")
        entry = newest.json()["items"][0]["entry"]
        assert entry["type"] == "decision"
        assert entry["http"] == {"method": "GET", "route": "/api/v1/me", "req_bytes": 0}
        assert (entry["actor"]["kind"], entry["actor"]["roles"], entry["status"]) == (
            kind,
            ["researcher"],
            200,
        )


async def test_reading_the_log_is_in_the_log(shared_house: House) -> None:
    await shared_house.get("dpo", "/api/v1/audit/entries?limit=3")
    newest = (await shared_house.get("dpo", "/api/v1/audit/entries?limit=1")).json()["items"][0]["entry"]
    assert (newest["type"], newest["actor"]["roles"]) == ("audit_read", ["compliance"])
    assert newest["reads"] == {"before": None, "limit": 3}


async def walked(house: House, path: str, key: str) -> list[Any]:
    found: list[Any] = []
    following: str | None = path
    while following is not None:
        answer = await house.get("dpo", following)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["items"]) <= 2
        found += [each[key] for each in answer.json()["items"]]
        following = answer.links.get("next", {}).get("url")
    return found


async def test_lists_in_parts_hold_what_the_whole_list_holds(shared_house: House) -> None:
    for path, key in (("people", "email"), ("projects", "name"), ("keys", "id"), ("terms", "version")):
        whole = (await shared_house.get("it", f"/api/v1/{path}?limit=200")).json()["items"]
        assert await walked(shared_house, f"/api/v1/{path}?limit=2", key) == [each[key] for each in whole]
        assert [each[key] for each in whole] == sorted(each[key] for each in whole)
    limits = await walked(shared_house, "/api/v1/limits?limit=2", "scope")
    assert len(limits) == len((await shared_house.get("it", "/api/v1/limits")).json()["items"]) == 5


async def test_the_log_in_parts_has_no_gap_though_it_grows_while_it_is_read(shared_house: House) -> None:
    assert await walked(shared_house, "/api/v1/audit/entries?limit=2&before=21", "index") == list(
        range(20, -1, -1)
    )


async def test_the_log_is_read_alike_on_both_databases(house: House) -> None:
    items = (await house.get("dpo", "/api/v1/audit/entries?limit=5")).json()["items"]
    indexes = [each["index"] for each in items]
    assert indexes == list(range(indexes[0], indexes[0] - 5, -1))
    assert all(len(each["leaf_hash"]) == 64 and each["entry"]["id"] for each in items)


async def test_where_the_log_cannot_be_written_nothing_is_answered_but_that(house: House) -> None:
    await house.installation.books.stop()
    answer = await house.get("dpo", "/api/v1/people")
    assert answer.status_code == 503
    assert "example.edu" not in answer.text


def _subclasses(kind: type[BursarError]) -> set[type[BursarError]]:
    return {kind} | {each for child in kind.__subclasses__() for each in _subclasses(child)}


def request() -> Request:
    return Request(
        {"type": "http", "method": "GET", "path": "/api/v1/me", "headers": [], "query_string": b""}
    )


KINDS = sorted(_subclasses(BursarError), key=str)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_error_has_a_problem_of_one_shape(kind: type[BursarError]) -> None:
    error = kind.__new__(kind)
    BursarError.__init__(error, "What happened.")
    for name, value in (("rule", ""), ("retry_after_s", 7), ("problems", ())):
        setattr(error, name, value)
    answer = problem_of(request(), error)
    assert answer.media_type == "application/problem+json"
    assert answer.status_code == STATUS_OF_CODE[error.code]


def test_no_message_sends_people_from_the_api_to_a_list_of_the_command_line() -> None:
    assert [each for each in lists_of_the_command_line() if "`bursar" in through_the_api(each)] == []


async def test_a_researcher_is_sent_to_no_command(shared_house: House) -> None:
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=3)).date().isoformat()
    wanted = {"limit": "records/day", "amount": 5, "until": until, "reason": "a test"}
    refused = await shared_house.ask("bob", "POST", "/api/v1/me/requests", json=wanted)
    assert refused.status_code in {400, 404, 409}
    assert "`GET /api/v1/limits` lists what you may see" in refused.json()["detail"]
    unknown = await shared_house.ask("bob", "POST", "/api/v1/me/terms/nope/acceptance")
    assert unknown.json()["detail"] == (
        "There are no terms of version nope; `GET /api/v1/terms` lists what you may see."
    )


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/people/bob@example.edu", "/api/v1/projects/none"])
async def test_head_is_answered_as_get_without_the_content(shared_house: House, path: str) -> None:
    shown = await shared_house.get("it", path)
    head = await shared_house.ask("it", "HEAD", path)
    assert (head.status_code, head.content) == (shown.status_code, b"")
    for name in ("content-type", "etag", "cache-control"):
        assert head.headers.get(name) == shown.headers.get(name)
    assert (await shared_house.ask("-", "HEAD", path)).status_code == 401


async def test_head_where_nothing_is_read_is_no_method(shared_house: House) -> None:
    refused = await shared_house.ask("it", "HEAD", "/api/v1/estimate")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    refused = await shared_house.ask("it", "PUT", "/api/v1/people")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")


NEVER_NULL = {
    "/api/v1/people/bob@example.edu": ("name", "roles"),
    "/api/v1/projects/health": ("credential", "approval", "cache_scope", "allow"),
    "/api/v1/terms/2026-02": ("title", "in_force_from", "grace_days"),
}


@pytest.mark.parametrize(
    ("path", "name"), [(path, name) for path, names in NEVER_NULL.items() for name in names]
)
async def test_what_is_never_null_is_refused_under_its_name(
    shared_house: House, path: str, name: str
) -> None:
    refused = await shared_house.ask("it", "PATCH", path, json={name: None})
    assert refused.status_code == 400
    assert [each["at"] for each in refused.json()["errors"]] == [f"body.{name}"]
    assert (await shared_house.ask("it", "PATCH", path, json={})).status_code == 200


def test_the_document_calls_nothing_null_that_is_refused(shared_house: House) -> None:
    schemas = shared_house.app.openapi()["components"]["schemas"]
    for kind, names in (
        ("PersonChange", NEVER_NULL["/api/v1/people/bob@example.edu"]),
        ("ProjectChange", NEVER_NULL["/api/v1/projects/health"]),
        ("TermsChange", (*NEVER_NULL["/api/v1/terms/2026-02"], "text")),
    ):
        assert not set(names) & set(schemas[kind].get("required", ()))
        assert [each for each in names if "null" in str(schemas[kind]["properties"][each])] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "at", "says"),
    [
        ("PATCH", "/api/v1/people/bob@example.edu", {"name": "a\u202eb"}, "body.name", "a name is printable"),
        (
            "PATCH",
            "/api/v1/projects/health",
            {"allow": {"endpoints": ["video/all"]}},
            "body.allow.endpoints",
            "video/all is no endpoint",
        ),
        (
            "POST",
            "/api/v1/terms",
            {"version": "of 2024", "title": "T", "in_force_from": "2024-01-01", "text": "x"},
            "body.version",
            "a version has 1 to 64 letters",
        ),
        (
            "PATCH",
            "/api/v1/projects/health",
            {"credential": "nowhere"},
            "body.credential",
            "no credential nowhere",
        ),
    ],
)
async def test_what_the_rules_of_content_refuse_is_told_by_its_place_in_the_body(
    shared_house: House, method: str, path: str, body: dict[str, object], at: str, says: str
) -> None:
    refused = (await shared_house.ask("it", method, path, json=body)).json()
    ((error,), detail) = refused["errors"], refused["detail"]
    assert error["at"] == at
    assert says in error["says"]
    assert says in detail
    for leak in ("[0]", "people", "projects (", "pattern", "valid tuple", "instance of"):
        assert leak not in detail


async def test_an_error_that_nobody_foresaw_says_nothing_of_itself() -> None:
    answer = problem_of(request(), ZeroDivisionError("secret"))
    assert answer.status_code == 500
    assert b"secret" not in bytes(answer.body)
    hidden = problem_of(request(), LogBroken("entry 7 was changed"))
    assert (hidden.status_code, b"entry 7" in bytes(hidden.body)) == (503, False)


async def test_waiting_is_said_in_the_header_for_it() -> None:
    for error in (RateLimited("Slowly.", retry_after_s=9), AuditUnavailable("Soon.", retry_after_s=9)):
        assert problem_of(request(), error).headers["retry-after"] == "9"
