"""Who is answered what: every route by every role, cell by cell."""

import datetime as dt
from dataclasses import dataclass

import pytest

from app.administration.keys import issue_key
from app.web.api.access import ACCESS
from app.web.console.mounting import PAGES
from tests.web.conftest import OPERATOR, House

pytestmark = pytest.mark.anyio

COLUMNS = {
    "anonymous": "-",
    "no role": "nobody",
    "project key": "key:bob",
    "researcher": "bob",
    "lead": "grace",
    "quota_admin": "quota",
    "admin": "it",
    "compliance": "dpo",
}
NONE = "0" * 20
SOON = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7)).isoformat()
RAISE = {"amount": 5, "until": SOON, "reason": "a test"}
MORE = {
    "limit": "requests/day",
    "amount": 5,
    "until": SOON,
    "reason": "a test",
}
# Grace leads project health, of which bob is no member; KEY is a fresh key of hers, ENTRY somebody else's,
# MINE a fresh request of bob's, FRESH what is not there yet; PERSON, PROJECT with bob in it, and VERSION are fresh ones.
#                     method, path                                     anon none  key  res lead quota admin compl
MATRIX: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "get_me": ("GET", "/me", (401, 403, 200, 200, 200, 200, 200, 200)),
    "list_my_terms": ("GET", "/me/terms", (401, 403, 200, 200, 200, 200, 200, 200)),
    "accept_my_terms": ("POST", "/me/terms/2024-10/acceptance", (401, 403, 200, 200, 200, 200, 200, 200)),
    "list_my_calls": ("GET", "/me/calls", (401, 403, 403, 200, 200, 403, 403, 403)),
    "list_terms": ("GET", "/terms", (401, 403, 403, 200, 200, 200, 200, 200)),
    "get_terms": ("GET", "/terms/2024-10", (401, 403, 403, 200, 200, 200, 200, 200)),
    "get_usage": ("GET", "/usage?project=health", (401, 403, 403, 404, 200, 200, 200, 200)),
    "estimate": ("POST", "/estimate", (401, 403, 404, 404, 200, 200, 200, 200)),
    "list_people": ("GET", "/people", (401, 403, 403, 200, 200, 200, 200, 200)),
    "add_person": ("POST", "/people", (401, 403, 403, 403, 403, 403, 201, 403)),
    "get_person": ("GET", "/people/grace@example.edu", (401, 403, 403, 404, 200, 200, 200, 200)),
    "change_person": ("PATCH", "/people/grace@example.edu", (401, 403, 403, 403, 403, 403, 200, 403)),
    "retire_person": ("DELETE", "/people/PERSON", (401, 403, 403, 403, 403, 403, 204, 403)),
    "list_acceptances": (
        "GET",
        "/people/grace@example.edu/acceptances",
        (401, 403, 403, 404, 200, 200, 200, 200),
    ),
    "record_terms": (
        "POST",
        "/people/grace@example.edu/acceptances",
        (401, 403, 403, 403, 403, 403, 201, 201),
    ),
    "issue_code": (
        "POST",
        "/people/grace@example.edu/password-code",
        (401, 403, 403, 403, 403, 403, 201, 403),
    ),
    "issue_person_token": (
        "POST",
        "/people/grace@example.edu/tokens",
        (401, 403, 403, 403, 403, 403, 201, 403),
    ),
    "list_person_tokens": (
        "GET",
        "/people/grace@example.edu/tokens",
        (401, 403, 403, 403, 403, 200, 200, 200),
    ),
    "revoke_person_token": (
        "DELETE",
        "/people/grace@example.edu/tokens/000000000000",
        (401, 403, 403, 403, 403, 403, 404, 403),
    ),
    "list_my_tokens": ("GET", "/me/tokens", (401, 403, 403, 200, 200, 200, 200, 200)),
    "revoke_my_token": ("DELETE", "/me/tokens/000000000000", (401, 403, 403, 404, 404, 404, 404, 404)),
    "list_identities": (
        "GET",
        "/people/grace@example.edu/identities",
        (401, 403, 403, 403, 403, 403, 200, 403),
    ),
    # No provider is set up here.
    "link_account": (
        "POST",
        "/people/grace@example.edu/identities",
        (401, 403, 403, 403, 403, 403, 404, 403),
    ),
    "unlink_accounts": (
        "DELETE",
        "/people/grace@example.edu/identities",
        (401, 403, 403, 403, 403, 403, 204, 403),
    ),
    "list_projects": ("GET", "/projects", (401, 403, 403, 200, 200, 200, 200, 200)),
    "get_project": ("GET", "/projects/health", (401, 403, 403, 404, 200, 200, 200, 200)),
    "add_project": ("POST", "/projects", (401, 403, 403, 403, 403, 403, 201, 403)),
    "change_project": ("PATCH", "/projects/health", (401, 403, 403, 403, 403, 403, 200, 403)),
    "retire_project": ("DELETE", "/projects/PROJECT", (401, 403, 403, 403, 403, 403, 204, 403)),
    "list_members": ("GET", "/projects/health/members", (401, 403, 403, 404, 200, 200, 200, 200)),
    "get_member": (
        "GET",
        "/projects/health/members/grace@example.edu",
        (401, 403, 403, 404, 200, 200, 200, 200),
    ),
    "set_member": (
        "PUT",
        "/projects/health/members/grace@example.edu",
        (401, 403, 403, 403, 403, 403, 200, 403),
    ),
    "end_membership": (
        "DELETE",
        "/projects/PROJECT/members/bob@example.edu",
        (401, 403, 403, 403, 403, 403, 204, 403),
    ),
    "list_credentials": ("GET", "/credentials", (401, 403, 403, 403, 403, 200, 200, 200)),
    "get_credential": ("GET", "/credentials/main", (401, 403, 403, 403, 403, 200, 200, 200)),
    "add_credential": ("POST", "/credentials", (401, 403, 403, 403, 403, 403, 201, 403)),
    "change_credential": ("PATCH", "/credentials/main", (401, 403, 403, 403, 403, 403, 200, 403)),
    "rotate_secret": ("POST", "/credentials/main/rotation", (401, 403, 403, 403, 403, 403, 200, 403)),
    # No such credential, so that no platform is asked.
    "verify_credential": ("POST", "/credentials/none/verification", (401, 403, 403, 403, 403, 403, 404, 403)),
    "retire_credential": ("DELETE", "/credentials/main", (401, 403, 403, 403, 403, 403, 409, 403)),
    "add_terms": ("POST", "/terms", (401, 403, 403, 403, 403, 403, 201, 403)),
    "change_terms": ("PATCH", "/terms/2024-10", (401, 403, 403, 403, 403, 403, 200, 403)),
    "withdraw_terms": ("DELETE", "/terms/VERSION", (401, 403, 403, 403, 403, 403, 204, 403)),
    "get_my_notices": ("GET", "/me/notices", (401, 403, 403, 200, 200, 200, 200, 200)),
    "choose_my_notices": ("PUT", "/me/notices", (401, 403, 403, 200, 200, 200, 200, 200)),
    "list_limits": ("GET", "/limits", (401, 403, 403, 200, 200, 200, 200, 200)),
    "list_limit_changes": ("GET", "/limits/changes", (401, 403, 403, 403, 403, 200, 200, 200)),
    "set_limit": ("PUT", "/limits", (401, 403, 403, 403, 403, 200, 200, 403)),
    "list_raises": ("GET", "/raises", (401, 403, 403, 403, 403, 200, 200, 200)),
    "get_raise": ("GET", f"/raises/{NONE}", (401, 403, 403, 403, 403, 404, 404, 404)),
    "add_raise": ("POST", "/raises", (401, 403, 403, 403, 403, 201, 201, 403)),
    "end_raise": ("DELETE", f"/raises/{NONE}", (401, 403, 403, 403, 403, 404, 404, 403)),
    "list_proposals": ("GET", "/proposals", (401, 403, 403, 403, 403, 200, 200, 200)),
    "get_proposal": ("GET", f"/proposals/{NONE}", (401, 403, 403, 403, 403, 404, 404, 404)),
    "confirm_proposal": ("POST", f"/proposals/{NONE}/confirmation", (401, 403, 403, 403, 403, 403, 404, 404)),
    "confirm_proposals": ("POST", "/proposals/confirmation", (401, 403, 403, 403, 403, 403, 200, 200)),
    "refuse_proposal": ("POST", f"/proposals/{NONE}/refusal", (401, 403, 403, 403, 403, 403, 404, 404)),
    "list_rules": ("GET", "/rules", (401, 403, 403, 200, 200, 200, 200, 200)),
    "get_rule": ("GET", "/rules/date-span", (401, 403, 403, 200, 200, 200, 200, 200)),
    "state_value": (
        "PUT",
        "/rules/values/refresh_interval_days/2026-03-01",
        (401, 403, 403, 403, 403, 403, 200, 403),
    ),
    "set_rule": ("PUT", "/rules/date-span/1", (401, 403, 403, 403, 403, 403, 200, 403)),
    "get_project_reuse": ("GET", "/projects/health/reuse", (401, 403, 403, 404, 200, 200, 200, 200)),
    "set_project_reuse": ("PUT", "/projects/health/reuse", (401, 403, 403, 403, 403, 403, 200, 403)),
    "list_keys": ("GET", "/keys", (401, 403, 403, 200, 200, 200, 200, 200)),
    "get_key": ("GET", "/keys/KEY", (401, 403, 403, 404, 200, 200, 200, 200)),
    "issue_key": ("POST", "/keys", (401, 403, 403, 404, 201, 403, 201, 403)),
    "rotate_key": ("POST", "/keys/KEY/rotation", (401, 403, 403, 404, 200, 403, 200, 403)),
    "revoke_key": ("DELETE", "/keys/KEY", (401, 403, 403, 404, 204, 403, 204, 403)),
    "list_my_requests": ("GET", "/me/requests", (401, 403, 200, 200, 200, 200, 200, 200)),
    "get_my_request": ("GET", "/me/requests/MINE", (401, 403, 200, 200, 404, 404, 404, 404)),
    "ask_for_more": ("POST", "/me/requests", (401, 403, 201, 201, 201, 403, 403, 403)),
    "withdraw_request": ("DELETE", "/me/requests/MINE", (401, 403, 204, 204, 404, 403, 403, 403)),
    "list_requests": ("GET", "/requests", (401, 403, 403, 403, 403, 200, 200, 200)),
    "get_request": ("GET", "/requests/MINE", (401, 403, 403, 403, 403, 200, 200, 200)),
    "grant_request": ("POST", "/requests/MINE/grant", (401, 403, 403, 403, 403, 200, 200, 403)),
    "refuse_request": ("POST", "/requests/MINE/refusal", (401, 403, 403, 403, 403, 200, 200, 403)),
    "list_freezes": ("GET", "/freezes", (401, 403, 403, 403, 403, 403, 200, 200)),
    "freeze": ("PUT", "/freezes/person/nobody@example.edu", (401, 403, 403, 403, 403, 403, 200, 403)),
    "unfreeze": ("DELETE", "/freezes/person/nobody@example.edu", (401, 403, 403, 403, 403, 403, 204, 403)),
    "get_cache": ("GET", "/cache", (401, 403, 403, 403, 403, 403, 200, 200)),
    "purge_cache": ("POST", "/cache/purge", (401, 403, 403, 403, 403, 403, 200, 200)),
    "list_entries": ("GET", "/audit/entries", (401, 403, 403, 403, 403, 403, 403, 200)),
    "open_question": ("GET", "/audit/entries/ENTRY/question", (401, 403, 403, 403, 403, 403, 403, 404)),
    "get_entry": ("GET", "/audit/entries/ENTRY", (401, 403, 403, 404, 404, 404, 404, 200)),
    "export_log": ("GET", "/audit/export", (401, 403, 403, 403, 403, 403, 403, 200)),
    "get_verification": ("GET", "/audit/verification", (401, 403, 403, 403, 403, 403, 404, 404)),
    "start_verification": ("POST", "/audit/verification", (401, 403, 403, 403, 403, 403, 202, 202)),
    "list_searches": ("GET", "/audit/searches", (401, 403, 403, 403, 403, 403, 403, 200)),
    "save_search": ("POST", "/audit/searches", (401, 403, 403, 403, 403, 403, 403, 201)),
    "forget_search": ("DELETE", f"/audit/searches/{NONE}", (401, 403, 403, 403, 403, 403, 403, 404)),
    "get_receipt": ("GET", "/audit/receipts/ENTRY", (401, 403, 404, 404, 404, 404, 404, 200)),
    "get_proof": ("GET", "/audit/receipts/ENTRY.tlog-proof", (401, 403, 404, 404, 404, 404, 404, 200)),
    "check_presented_receipt": (
        "POST",
        "/audit/receipts/verification",
        (401, 403, 403, 403, 403, 403, 200, 200),
    ),
    "get_checkpoint": ("GET", "/audit/checkpoint", (401, 403, 200, 200, 200, 200, 200, 200)),
    "get_consistency": ("GET", "/audit/consistency?from=1", (401, 403, 200, 200, 200, 200, 200, 200)),
    "get_log_key": ("GET", "/audit/key", (401, 403, 200, 200, 200, 200, 200, 200)),
    "ask_for_erasure": ("POST", "/audit/erasures", (401, 403, 403, 403, 403, 403, 201, 201)),
    "ask_for_pruning": ("POST", "/audit/prunings", (401, 403, 403, 403, 403, 403, 201, 201)),
    "get_retention": ("GET", "/audit/retention", (401, 403, 403, 403, 403, 403, 200, 200)),
    "ask_for_retention": ("PUT", "/audit/retention", (401, 403, 403, 403, 403, 403, 200, 200)),
    "get_compliance": ("GET", "/compliance", (401, 403, 403, 403, 403, 403, 200, 200)),
    "get_report": ("GET", "/compliance/report", (401, 403, 403, 403, 403, 403, 200, 200)),
}
QUERY = {
    "query": {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]},
    "start_date": "20260901",
    "end_date": "20260930",
}
BODIES = {
    "estimate": {"project": "health", "fields": "id", "query": QUERY},
    "issue_key": {"project": "health", "person": "grace@example.edu"},
    "rotate_key": {"overlap_s": 60},
    "set_rule": {"mode": "enforce"},
    "issue_person_token": {},
    "link_account": {"subject": "f6a3c1d8-grace"},
    "choose_my_notices": {"without": []},
    "check_presented_receipt": {"receipt": "c2sp.org/tlog-proof@v1"},
    "save_search": {"name": "Refusals", "query": "verdict=refused"},
    "set_project_reuse": {"cache_control": "honour"},
    "add_person": {"email": "FRESH@example.edu", "name": "Mary Somerville"},
    "change_person": {"name": "Grace Hopper"},
    "record_terms": {
        "version": "2024-10",
        "on": "2026-02-01",
        "evidence_name": "grace.pdf",
        "evidence_sha256": "0" * 64,
    },
    "add_project": {
        "name": "FRESH",
        "credential": "main",
        "approval": {"reference": "R-1", "from": "2026-01-01", "until": "2036-06-30"},
    },
    "change_project": {"cache_scope": "project"},
    "set_member": {},
    "add_credential": {
        "name": "FRESH",
        "client_key": "aw111example",
        "client_secret": "from-the-platform-9e1b",
    },
    "change_credential": {"roster_limit": 10},
    "rotate_secret": {"client_secret": "from-the-platform-4c7a"},
    "add_terms": {"version": "FRESH", "title": "Terms", "in_force_from": "2036-01-01", "text": "Be good."},
    "change_terms": {"title": "Terms of 2024"},
    "add_raise": {"scope": "project:health", "key": "requests/day", **RAISE},
    "state_value": {"amount": 15, "source": "Agreement, section 4"},
    "set_limit": {"scope": "project:health", "key": "requests/day", "amount": 200},
    "freeze": {"reason": "a test"},
    "purge_cache": {"project": "health"},
    "ask_for_more": MORE,
    "refuse_request": {"reason": "a test"},
    "confirm_proposals": {"ids": [NONE]},
    "ask_for_erasure": {"person": "grace@example.edu"},
    "ask_for_retention": {"months": 18},
}
# What each sees of people, projects, limits and keys: the door may be open and the room still be empty.
SEEN = {
    "bob": ({"bob"}, {"elections"}),
    "ada": ({"ada", "bob"}, {"elections"}),
    "grace": ({"grace"}, {"health"}),
    "quota": ({"ada", "bob", "dpo", "grace", "it", "nobody", "quota"}, {"elections", "health"}),
    "it": ({"ada", "bob", "dpo", "grace", "it", "nobody", "quota"}, {"elections", "health"}),
    "dpo": ({"ada", "bob", "dpo", "grace", "it", "nobody", "quota"}, {"elections", "health"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    route: str
    column: str
    status: int

    def __str__(self) -> str:
        return f"{self.route} by {self.column} is {self.status}"


CELLS = [
    Cell(route=route, column=column, status=status)
    for route, (_, _, statuses) in MATRIX.items()
    for column, status in zip(COLUMNS, statuses, strict=True)
]


CREATED = {"add_person": "id", "add_project": "name", "add_credential": "name", "add_terms": "version"}
"""What the matrix makes by each of these, and takes away again by this name."""


async def with_fresh(house: House, path: str) -> str:
    """The path with what it names made, so that it can be ended."""
    approval = {"reference": "R-1", "from": "2026-01-01", "until": "2036-06-30"}
    bodies: dict[str, tuple[str, dict[str, object]]] = {
        "PERSON": ("/people", {"email": "person@example.edu", "name": "A Person"}),
        "PROJECT": (
            "/projects",
            {
                "name": "PROJECT",
                "credential": "main",
                "approval": approval,
                "members": [{"person": "bob@example.edu"}],
            },
        ),
        "VERSION": (
            "/terms",
            {"version": "VERSION", "title": "Terms", "in_force_from": "2036-01-01", "text": "x"},
        ),
    }
    for name, (where, body) in bodies.items():
        if name in path:
            made = await house.ask("it", "POST", f"/api/v1{where}", json=body)
            assert made.status_code == 201, made.text
    return path.replace("PERSON", "person@example.edu")


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_role_is_answered_what_the_matrix_says(shared_house: House, cell: Cell) -> None:
    house, (method, path, _) = shared_house, MATRIX[cell.route]
    if "KEY" in path:
        key = await issue_key(house.office, house.mint, OPERATOR, project="health", email="grace@example.edu")
        path = path.replace("KEY", key.key_id)
    if "ENTRY" in path:
        first = await house.get("dpo", "/api/v1/audit/entries?before=1")
        path = path.replace("ENTRY", first.json()["items"][0]["entry"]["id"])
    path = await with_fresh(house, path)
    mine = None
    if "MINE" in path:
        mine = (await house.ask("bob", "POST", "/api/v1/me/requests", json=MORE)).json()["id"]
        path = path.replace("MINE", mine)
    body = BODIES.get(cell.route)
    if cell.route == "ask_for_more" and cell.column == "lead":
        body = {**MORE, "for": "project"}  # members of her project have no limit of their own
    answer = await house.ask(COLUMNS[cell.column], method, f"/api/v1{path}", json=body)
    if mine is not None:
        # Nobody may have many open, and the house is for all cells.
        await house.ask("bob", "DELETE", f"/api/v1/me/requests/{mine}")
    if cell.route in CREATED and answer.status_code == 201:
        made = answer.json()[CREATED[cell.route]]
        assert (await house.ask("it", "DELETE", f"/api/v1{path}/{made}")).status_code == 204
    if any(name in MATRIX[cell.route][1] for name in ("PERSON", "PROJECT", "VERSION")):
        await house.ask("it", "DELETE", f"/api/v1{path.partition('/members')[0]}")
    if cell.route == "start_verification":
        await house.installation.verifier.finished()
    assert answer.status_code == cell.status, answer.text
    assert answer.headers["cache-control"] == "no-store"
    if cell.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == cell.status


async def test_every_route_has_a_row_in_the_matrix_and_in_the_table_of_access(shared_house: House) -> None:
    paths = shared_house.app.openapi()["paths"]
    routes = {
        operation["operationId"]
        for path, methods in paths.items()
        if not path.startswith("/v2/")
        for operation in methods.values()
    }
    assert routes == set(MATRIX) == set(ACCESS)


async def test_what_stands_outside_the_api_is_known_by_name(shared_house: House) -> None:
    paths = {getattr(route, "path", "") for route in shared_house.app.routes} - {""}
    known = {
        "/livez",
        "/readyz",
        "/metrics",
        "/docs",
        "/",
        "/openapi.json",
        "/console",
        "/console/static/{name}",
    }
    # The pages of the console have a matrix of their own.
    pages = {f"/console{each.path}" for each in PAGES}
    assert {path for path in paths if not path.startswith("/api/v1")} == known | pages


@pytest.mark.parametrize("who", SEEN)
async def test_everybody_sees_their_part_of_the_directory_and_no_more(shared_house: House, who: str) -> None:
    people, projects = SEEN[who]

    async def items(path: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = (await shared_house.get(who, f"/api/v1{path}")).json()["items"]
        return found

    assert {each["email"].removesuffix("@example.edu") for each in await items("/people")} == people
    assert {each["name"] for each in await items("/projects")} == projects
    assert {each["project"] for each in await items("/keys")} == projects
    assert {each["person"].removesuffix("@example.edu") for each in await items("/keys")} <= people
    scopes = {each["scope"] for each in await items("/limits")}
    each_member = {f"each_member:{name}" for name in projects & {"elections"}}
    assert scopes == {"credential:main"} | {f"project:{name}" for name in projects} | each_member


async def test_members_of_a_project_see_of_each_other_only_who_leads_it(shared_house: House) -> None:
    def members(answer: dict[str, list[dict[str, str]]]) -> list[str]:
        return [each["person"] for each in answer["members"]]

    seen_by_bob = (await shared_house.get("bob", "/api/v1/projects/elections")).json()
    seen_by_ada = (await shared_house.get("ada", "/api/v1/projects/elections")).json()
    assert (seen_by_bob["lead"], members(seen_by_bob)) == ("ada@example.edu", ["bob@example.edu"])
    assert members(seen_by_ada) == ["ada@example.edu", "bob@example.edu"]


USAGE = {
    ("bob", ""): 200,
    ("bob", "?project=elections"): 200,
    ("bob", "?person=bob@example.edu"): 200,
    ("bob", "?person=ada@example.edu"): 404,
    ("bob", "?project=elections&person=ada@example.edu"): 404,
    ("ada", "?project=elections&person=bob@example.edu"): 200,
    ("ada", "?person=bob@example.edu"): 404,
    ("ada", "?project=health"): 404,
    ("quota", "?person=grace@example.edu"): 200,
    ("quota", "?project=nowhere"): 404,
    ("dpo", "?day=2026-01-31"): 200,
    ("dpo", "?day=1999-12-31"): 400,
    ("dpo", "?day=9999-12-31"): 400,
    ("dpo", "?day=yesterday"): 400,
}


@pytest.mark.parametrize(("who", "query"), USAGE)
async def test_usage_is_told_to_whom_it_concerns(shared_house: House, who: str, query: str) -> None:
    answer = await shared_house.get(who, f"/api/v1/usage{query}")
    assert answer.status_code == USAGE[who, query], answer.text
    if answer.status_code == 200 and who == "bob":
        assert "ada" not in answer.text
        assert "health" not in answer.text


async def test_a_lead_is_told_the_usage_of_every_member(shared_house: House) -> None:
    limits = (await shared_house.get("ada", "/api/v1/usage?project=elections")).json()["limits"]
    members = {each["scope"] for each in limits if each["scope"].startswith("member:")}
    assert members == {"member:elections/ada@example.edu", "member:elections/bob@example.edu"}


async def test_whoever_reads_their_own_entry_needs_no_role_for_the_log(shared_house: House) -> None:
    await shared_house.get("bob", "/api/v1/people?limit=7")
    items = (await shared_house.get("dpo", "/api/v1/audit/entries?limit=1")).json()["items"]
    mine = items[0]["entry"]
    answer = await shared_house.get("bob", f"/api/v1/audit/entries/{mine['id']}")
    assert answer.status_code == 200
    assert answer.json() == items[0]
