"""What the document shows as an example of a request is taken by the program that it describes."""

import copy
import datetime as dt
from typing import Any

import pytest

from tests.web.conftest import House

pytestmark = pytest.mark.anyio

# Operation -> who sends its example to which path. In an order in which each finds what it needs.
SENT = {
    "estimate": ("ada", "/estimate"),
    "add_person": ("it", "/people"),
    "change_person": ("it", "/people/ada@example.edu"),
    "record_terms": ("it", "/people/ada@example.edu/acceptances"),
    "issue_person_token": ("it", "/people/ada@example.edu/tokens"),
    "add_credential": ("it", "/credentials"),
    "change_credential": ("it", "/credentials/main"),
    "rotate_secret": ("it", "/credentials/main/rotation"),
    "add_project": ("it", "/projects"),
    "change_project": ("it", "/projects/elections"),
    "set_project_reuse": ("it", "/projects/elections/reuse"),
    "set_member": ("it", "/projects/elections/members/grace@example.edu"),
    "add_terms": ("it", "/terms"),
    "change_terms": ("it", "/terms/2024-10"),
    "set_limit": ("quota", "/limits"),
    "add_raise": ("quota", "/raises"),
    "state_value": ("it", "/rules/values/refresh_interval_days/2026-03-01"),
    "set_rule": ("it", "/rules/named-collaborator/1"),
    "issue_key": ("it", "/keys"),
    "rotate_key": ("bob", "/keys/KEY/rotation"),
    "ask_for_more": ("bob", "/me/requests"),
    "grant_request": ("quota", "/requests/REQUEST/grant"),
    "refuse_request": ("quota", "/requests/REQUEST/refusal"),
    "save_search": ("dpo", "/audit/searches"),
    "choose_my_notices": ("bob", "/me/notices"),
    "check_presented_receipt": ("dpo", "/audit/receipts/verification"),
    "confirm_proposals": ("dpo", "/proposals/confirmation"),
    "ask_for_erasure": ("dpo", "/audit/erasures"),
    "ask_for_pruning": ("dpo", "/audit/prunings"),
    "ask_for_retention": ("dpo", "/audit/retention"),
    "purge_cache": ("it", "/cache/purge"),
    "freeze": ("it", "/freezes/project/health"),
}
WITH_A_PROVIDER = {"link_account"}
"""Sent where there is one, in `tests/web/console/test_institution.py`."""
SOON = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7)).isoformat()
AHEAD = {
    "add_raise": "until",
    "ask_for_more": "until",
    "grant_request": "until",
    "issue_key": "expires",
    "issue_person_token": "expires",
}
"""Days that have to lie ahead, which those of a document do not for ever."""


async def test_every_example_of_a_request_is_taken(house: House) -> None:
    operations: dict[str, tuple[str, dict[str, Any]]] = {
        operation["operationId"]: (method.upper(), operation)
        for path, methods in house.app.openapi()["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/v1/") and "requestBody" in operation
    }
    assert set(operations) == set(SENT) | WITH_A_PROVIDER
    for name, (who, path) in SENT.items():
        method, operation = operations[name]
        body = copy.deepcopy(operation["requestBody"]["content"]["application/json"]["example"])
        if name in AHEAD:
            body[AHEAD[name]] = SOON
        if "REQUEST" in path:
            more = {"limit": "requests/day", "amount": 9, "until": SOON, "reason": "More."}
            asked = await house.ask("bob", "POST", "/api/v1/me/requests", json=more)
            path = path.replace("REQUEST", asked.json()["id"])  # noqa: PLW2901 - of this turn alone
        answer = await house.ask(
            who, method, f"/api/v1{path.replace('KEY', house.keys['bob'].key_id)}", json=body
        )
        assert answer.is_success, f"{name}: {answer.text}"
        assert str(answer.status_code) in operation["responses"], name
