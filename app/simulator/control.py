"""The control endpoints under `/_sim/`, for tests and practice, open to loopback peers alone."""

import math
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.answers import ApiError, failure, json_response
from app.simulator.directory import accounts
from app.simulator.door import TOKEN_ENDPOINT
from app.simulator.endpoints import ENDPOINTS
from app.simulator.faults import fault_from
from app.simulator.knobs import shown, turned
from app.simulator.platform import Platform

_FAULTY = frozenset({TOKEN_ENDPOINT, *(endpoint.name for endpoint in ENDPOINTS)})
_CLOCK_ENDS_S = 2**31
"""Ids carry 32 bits of seconds and must stay inside a signed 64-bit integer."""

_PROXY_HEADERS = ("forwarded", "x-forwarded-for")

_Control = Callable[[Platform, dict[str, Any]], Any]


def control_routes(platform: Platform) -> list[Route]:
    """One route for each control endpoint."""
    table: tuple[tuple[str, str, _Control], ...] = (
        ("GET", "stats", _stats),
        ("GET", "journal", _journal),
        ("GET", "accounts", _accounts),
        ("GET", "knobs", _show_knobs),
        ("POST", "knobs", _turn_knobs),
        ("POST", "reset", _reset),
        ("POST", "faults", _add_fault),
        ("DELETE", "faults", _clear_faults),
        ("POST", "clock", _shift_clock),
        ("POST", "delete", _delete),
    )
    return [Route(f"/_sim/{name}", _guarded(platform, act), methods=[method]) for method, name, act in table]


def _guarded(platform: Platform, act: _Control) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        if not _is_local(request):
            return failure(ApiError(404, "not_found", "There is nothing at this path."), platform.clock)
        try:
            return json_response(act(platform, _order(await request.body())))
        except (ValueError, TypeError) as error:
            return json_response({"error": str(error)}, status=400)

    return answer


def _is_local(request: Request) -> bool:
    """Whether the peer is on loopback and speaks for itself rather than as somebody's proxy."""
    if request.client is None or any(name in request.headers for name in _PROXY_HEADERS):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _order(body: bytes) -> dict[str, Any]:
    order = orjson.loads(body) if body.strip() else {}
    if not isinstance(order, dict):
        raise TypeError("the body must be a JSON object")
    return order


def _stats(platform: Platform, _: dict[str, Any]) -> dict[str, Any]:
    return platform.quota.stats()


def _journal(platform: Platform, _: dict[str, Any]) -> dict[str, Any]:
    return {"requests": list(platform.journal)}


def _accounts(platform: Platform, _: dict[str, Any]) -> dict[str, Any]:
    return accounts(platform)


def _show_knobs(platform: Platform, _: dict[str, Any]) -> dict[str, Any]:
    return shown(platform.knobs)


def _turn_knobs(platform: Platform, order: dict[str, Any]) -> dict[str, Any]:
    """Turn the named knobs and leave the others; all are as at the start after a reset."""
    platform.turn(turned(platform.knobs, order))
    return shown(platform.knobs)


def _reset(platform: Platform, _: dict[str, Any]) -> dict[str, Any]:
    platform.reset()
    return {}


def _add_fault(platform: Platform, order: dict[str, Any]) -> dict[str, Any]:
    platform.faults.add(fault_from(order, endpoints=_FAULTY))
    return {}


def _clear_faults(platform: Platform, _: dict[str, Any]) -> dict[str, Any]:
    platform.faults.clear()
    return {}


def _shift_clock(platform: Platform, order: dict[str, Any]) -> dict[str, Any]:
    """Set the shift from the machine's time; a second call replaces the first."""
    shift_s = float(order["shift_s"]) if "shift_s" in order else math.nan
    if not math.isfinite(shift_s):
        raise ValueError("shift_s must be a number of seconds")
    if not 0 <= time.time() + shift_s < _CLOCK_ENDS_S:
        raise ValueError("shift_s must leave the clock between 1970 and 2038")
    platform.clock.shift_s = shift_s
    return {"shift_s": shift_s, "now_s": platform.clock.now_s()}


def _delete(platform: Platform, order: dict[str, Any]) -> dict[str, int]:
    return platform.delete(
        videos=map(int, order.get("videos") or ()),
        comments=map(int, order.get("comments") or ()),
        users=map(str, order.get("users") or ()),
    )
