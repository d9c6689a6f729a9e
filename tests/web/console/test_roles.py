"""Who sees which page: every page by every role, cell by cell."""

from dataclasses import dataclass

import pytest

from app.web.console.mounting import PAGES
from tests.web.conftest import House
from tests.web.console.conftest import Opened, signed_in

pytestmark = pytest.mark.anyio

COLUMNS = {
    "anonymous": None,
    "no role": "nobody",
    "researcher": "bob",
    "lead": "grace",
    "quota_admin": "quota",
    "admin": "it",
    "compliance": "dpo",
}
NONE = "0" * 32
# Forms are sent with their session's token and nothing else, so whoever may is told what is missing (400, 404).
#                              anon none  res lead quota admin compl
MATRIX: dict[str, tuple[int, ...]] = {
    "GET /": (401, 303, 303, 303, 303, 303, 303),
    "GET /sign-in": (200, 200, 200, 200, 200, 200, 200),
    "POST /sign-in/token": (401, 401, 401, 401, 401, 401, 401),
    "POST /sign-in/password": (401, 401, 401, 401, 401, 401, 401),
    "GET /sign-in/token": (303, 303, 303, 303, 303, 303, 303),
    "GET /sign-in/password": (303, 303, 303, 303, 303, 303, 303),
    "GET /password": (200, 200, 200, 200, 200, 200, 200),
    "POST /password": (404, 404, 404, 404, 404, 404, 404),
    "POST /sign-out": (401, 303, 303, 303, 303, 303, 303),
    "GET /sign-in/institution": (404, 404, 404, 404, 404, 404, 404),
    "POST /sign-in/institution": (303, 303, 303, 303, 303, 303, 303),
    "GET /sign-in/institution/answer": (404, 404, 404, 404, 404, 404, 404),
    "POST /reauthentication/password": (401, 401, 401, 401, 401, 401, 401),
    "POST /reauthentication/token": (401, 401, 401, 401, 401, 401, 401),
    "POST /reauthentication/institution": (401, 404, 404, 404, 404, 404, 404),
    "GET /reauthentication/password": (401, 303, 303, 303, 303, 303, 303),
    "GET /reauthentication/token": (401, 303, 303, 303, 303, 303, 303),
    "GET /reauthentication/institution": (401, 303, 303, 303, 303, 303, 303),
    "GET /me": (401, 403, 200, 200, 200, 200, 200),
    "POST /me/notices": (401, 403, 303, 303, 303, 303, 303),
    "POST /me/tokens/{id}/end": (401, 403, 404, 404, 404, 404, 404),
    "GET /my-keys": (401, 403, 200, 200, 403, 403, 403),
    "POST /my-keys": (401, 403, 400, 400, 403, 403, 403),
    "POST /my-keys/{id}/rotation": (401, 403, 404, 404, 403, 403, 403),
    "POST /my-keys/{id}/end": (401, 403, 404, 404, 403, 403, 403),
    "GET /my-terms": (401, 403, 200, 200, 200, 200, 200),
    "POST /my-terms": (401, 403, 400, 400, 400, 400, 400),
    "GET /more": (401, 403, 200, 200, 403, 403, 403),
    "POST /more": (401, 403, 400, 400, 403, 403, 403),
    "POST /more/{id}/withdrawal": (401, 403, 404, 404, 403, 403, 403),
    "GET /calls": (401, 403, 200, 200, 403, 403, 403),
    "GET /entries/{id}": (401, 403, 404, 404, 404, 404, 404),
    "POST /entries/{id}/question": (401, 403, 403, 403, 403, 403, 404),
    "GET /entries/{id}/receipt": (401, 403, 404, 404, 404, 404, 404),
    "GET /audit": (401, 403, 403, 403, 403, 403, 200),
    "POST /audit/exports": (401, 403, 403, 403, 403, 403, 303),
    "GET /audit/exports/{id}": (401, 403, 403, 403, 403, 403, 404),
    "GET /audit/exports/{id}/file": (401, 403, 403, 403, 403, 403, 404),
    "GET /audit/checkpoint": (401, 403, 403, 403, 403, 200, 200),
    "POST /audit/searches": (401, 403, 403, 403, 403, 403, 400),
    "POST /audit/searches/{id}/end": (401, 403, 403, 403, 403, 403, 404),
    "GET /audit/verification": (401, 403, 403, 403, 403, 200, 200),
    "POST /audit/verification": (401, 403, 403, 403, 403, 303, 303),
    "POST /audit/receipts": (401, 403, 403, 403, 403, 400, 400),
    "GET /today": (401, 403, 403, 403, 200, 200, 200),
    "GET /projects": (401, 403, 403, 403, 200, 200, 200),
    "GET /projects/{id}": (401, 403, 403, 403, 404, 404, 404),
    "GET /my-projects/{id}": (401, 403, 404, 404, 404, 404, 404),
    "GET /projects/{id}/form": (401, 403, 403, 403, 403, 404, 403),
    "POST /projects/{id}/form": (401, 403, 403, 403, 403, 404, 403),
    "POST /projects/{id}/end": (401, 403, 403, 403, 403, 404, 403),
    "GET /new-project": (401, 403, 403, 403, 403, 200, 403),
    "POST /new-project": (401, 403, 403, 403, 403, 400, 403),
    "POST /new-projects": (401, 403, 403, 403, 403, 400, 403),
    "POST /freezes": (401, 403, 403, 403, 403, 400, 403),
    "POST /freezes/end": (401, 403, 403, 403, 403, 400, 403),
    "GET /people": (401, 403, 403, 403, 200, 200, 200),
    "GET /people/{id}": (401, 403, 403, 403, 404, 404, 404),
    "POST /people/{id}": (401, 403, 403, 403, 403, 404, 403),
    "POST /people/{id}/code": (401, 403, 403, 403, 403, 404, 403),
    "POST /people/{id}/link": (401, 403, 403, 403, 403, 404, 403),
    "POST /people/{id}/unlink": (401, 403, 403, 403, 403, 404, 403),
    "POST /people/{id}/tokens/{token}/end": (401, 403, 403, 403, 403, 404, 403),
    "POST /people/{id}/end": (401, 403, 403, 403, 403, 404, 403),
    "GET /new-person": (401, 403, 403, 403, 403, 200, 403),
    "POST /new-person": (401, 403, 403, 403, 403, 400, 403),
    "POST /new-people": (401, 403, 403, 403, 403, 400, 403),
    "GET /keys": (401, 403, 403, 403, 200, 200, 200),
    "POST /keys": (401, 403, 403, 403, 403, 400, 403),
    "POST /new-keys": (401, 403, 403, 403, 403, 400, 403),
    "POST /keys/{id}/end": (401, 403, 403, 403, 403, 404, 403),
    "GET /quotas": (401, 403, 403, 403, 200, 200, 200),
    "GET /quotas/history": (401, 403, 403, 403, 200, 200, 200),
    "POST /quotas": (401, 403, 403, 403, 200, 200, 403),
    "POST /raises": (401, 403, 403, 403, 400, 400, 403),
    "POST /raises/{id}/end": (401, 403, 403, 403, 404, 404, 403),
    "POST /proposals/{id}/confirmation": (401, 403, 403, 403, 403, 404, 404),
    "POST /proposals/confirmation": (401, 403, 403, 403, 403, 400, 400),
    "POST /proposals/{id}/refusal": (401, 403, 403, 403, 403, 404, 404),
    "GET /requests": (401, 403, 403, 403, 200, 200, 200),
    "POST /requests/{id}/grant": (401, 403, 403, 403, 400, 400, 403),
    "POST /requests/{id}/refusal": (401, 403, 403, 403, 400, 400, 403),
    "GET /rules": (401, 403, 403, 403, 200, 200, 200),
    "POST /rules": (401, 403, 403, 403, 403, 400, 403),
    "POST /terms": (401, 403, 403, 403, 403, 400, 403),
    "POST /terms/end": (401, 403, 403, 403, 403, 400, 403),
    "GET /held": (401, 403, 403, 403, 403, 200, 200),
    "POST /held": (401, 403, 403, 403, 403, 400, 400),
    "GET /compliance": (401, 403, 403, 403, 403, 200, 200),
    "GET /compliance/report": (401, 403, 403, 403, 403, 200, 200),
    "POST /compliance/erasures": (401, 403, 403, 403, 403, 400, 400),
    "POST /compliance/prunings": (401, 403, 403, 403, 403, 400, 400),
    "POST /compliance/retention": (401, 403, 403, 403, 403, 400, 400),
    "GET /{rest:path}": (404, 404, 404, 404, 404, 404, 404),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    page: str
    column: str
    status: int

    def __str__(self) -> str:
        return f"{self.page} by {self.column} is {self.status}"


CELLS = [
    Cell(page=page, column=column, status=status)
    for page, statuses in MATRIX.items()
    for column, status in zip(COLUMNS, statuses, strict=True)
]


@pytest.fixture(autouse=True)
async def nobody_has_to_wait(shared_house: House, anyio_backend: str) -> None:
    """The cells of signing in fail on purpose, all from one source; and the log is verified once at a time."""
    await shared_house.installation.verifier.finished()
    desk = getattr(shared_house.app.state, "desk", None)
    if desk is not None:
        desk.throttle._failures.clear()


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_role_is_answered_what_the_matrix_says(
    shared_house: House, browser: Opened, cell: Cell
) -> None:
    name = COLUMNS[cell.column]
    mine = browser(shared_house) if name is None else await signed_in(browser, shared_house, name)
    method, _, path = cell.page.partition(" ")
    path = path.replace("{id}", NONE).replace("{token}", NONE).replace("{rest:path}", "nowhere/at/all")
    if method == "GET":
        answer = await mine.get(path)
    else:
        answer = await mine.send(path)
    assert answer.status_code == cell.status, answer.text[-3000:]
    assert answer.headers["cache-control"] == "no-store"
    assert "audit-entry" in answer.headers


def test_every_page_has_a_row_in_the_matrix() -> None:
    assert [f"{each.method} {each.path}" for each in PAGES] == list(MATRIX)
