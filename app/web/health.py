"""Whether this process lives, and whether it can serve."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.bootstrap import Installation
from app.errors import BursarError, Refusal, RollbackDetected
from app.storage.engines import Prompt
from app.storage.wrapped_keys import objection

_WITHIN_S = 0.8
"""Whoever asks wants to know within a second."""


async def livez(request: Request) -> Response:
    """200 for as long as the process can answer at all; the status says whether it is about to stop."""
    return JSONResponse({"status": "stopping" if request.app.state.is_stopping else "alive"})


async def readyz(request: Request) -> Response:
    """200 when requests can be served, otherwise 503 with what is not ready.

    200 with warnings where some are refused: whoever turned elsewhere then would keep people from the rest.
    """
    installation: Installation = request.app.state.installation
    problems = await not_ready(installation, is_stopping=request.app.state.is_stopping)
    body = {
        "status": "ready" if not problems else "not ready",
        "problems": problems,
        "warnings": refused_in_part(installation),
    }
    return JSONResponse(body, status_code=503 if problems else 200)


async def not_ready(installation: Installation, *, is_stopping: bool) -> list[str]:
    """What stands in the way of serving, in words for an administrator; empty when nothing does."""
    problems = ["this process is stopping"] if is_stopping else []
    if installation.boot.trouble is not None:
        problems.append(f"{RollbackDetected.code}: {installation.boot.trouble}")
    if installation.books.trouble is not None:
        problems.append(installation.books.trouble)
    try:
        database = Prompt(installation.database, within_s=_WITHIN_S)
        found = await database.read(lambda conn: objection(conn, installation.master))
        if found is not None:
            problems.append(found)
    except Refusal as error:
        problems.append(error.message)
    except BursarError as error:
        problems.append(f"the database does not answer: {error.code}")
    return problems


def refused_in_part(installation: Installation) -> list[str]:
    """What is refused while all else is served, and why, in words for an administrator."""
    disk = installation.disk
    if disk is None or disk.level != "full" or disk.is_spent:  # with its reserve spent, nothing is served
        return []
    used = f"the disk that holds the log is almost full ({disk.used_percent:.0f} % used)"
    return [f"{used}: nothing new is sent to the platform, and what is held is still served"]
