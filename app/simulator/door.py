"""What happens to a call before and after its endpoint: token, charge, faults, journal."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.simulator.answers import (
    ApiError,
    failure,
    html_failure,
    json_response,
    success,
    text_file,
    token_failure,
)
from app.simulator.calls import Call, Endpoint, TextFile
from app.simulator.faults import Fault
from app.simulator.platform import Platform
from app.simulator.quota import rate_limit_exceeded
from app.simulator.spelling import with_extra_keys
from app.simulator.tokens import TokenRefused

TOKEN_ENDPOINT = "oauth/token"  # noqa: S105 - the name of an endpoint
_PROMISED_TOO_MUCH_BYTES = 64
_BURST_WINDOW_S = 1.0


async def answer_token_request(platform: Platform, request: Request) -> Response:
    """`POST /v2/oauth/token/`: never charged."""
    form = await request.body()
    fault = platform.faults.take(TOKEN_ENDPOINT)
    if fault is not None:
        await asyncio.sleep(fault.delay_s)
    error = fault.token_error() if fault is not None else None
    if error is not None:
        shown = token_failure(error.status, error.code, error.message, platform.clock)
        answer = html_failure(error.status) if fault is not None and fault.html else shown
    else:
        answer = _issued(platform, form)
    _note(platform, TOKEN_ENDPOINT, answer.status_code)
    return _delivered(answer, fault)


def _issued(platform: Platform, form: bytes) -> Response:
    try:
        return json_response(platform.tokens.issue(form))
    except TokenRefused as refused:
        status = 200 if platform.knobs.token_errors_with_200 else refused.status
        return token_failure(status, refused.error, refused.description, platform.clock)


async def answer_research_call(platform: Platform, endpoint: Endpoint, request: Request) -> Response:
    """One research call; charged as soon as its token is good, whatever comes of it (facts 4)."""
    body = await request.body()
    try:
        client = platform.tokens.client_of(request.headers.get("authorization"), scope=endpoint.scope)
    except ApiError as error:
        _note(platform, endpoint.name, error.status)
        return _failed(platform, error, None)
    fault = platform.faults.take(endpoint.name)
    ordered = fault.error() if fault is not None else None
    if fault is not None and ordered is not None and ordered.status == 401:
        await asyncio.sleep(fault.delay_s)
        _note(platform, endpoint.name, 401)
        return _delivered(_failed(platform, ordered, fault), fault)
    call = Call(
        client_key=client.key,
        fields=request.query_params.get("fields"),
        body=body,
        content_type=request.headers.get("content-type", ""),
    )
    return _delivered(await _charged(platform, endpoint, call, fault), fault)


async def _charged(platform: Platform, endpoint: Endpoint, call: Call, fault: Fault | None) -> Response:
    """The answer to a call that costs a request, a refusal for want of quota included."""
    try:
        charge = platform.quota.charge(call.client_key, endpoint.name, family=endpoint.family)
    except ApiError as refused:
        _note(platform, endpoint.name, refused.status, is_charged=True)
        return _failed(platform, refused, None)
    answer, records = await _served(platform, endpoint, call, fault)
    is_charged = answer.status_code < 500 or platform.knobs.charge_on_500
    if is_charged:
        charge.add_records(records)
    else:
        charge.take_back()
    _note(platform, endpoint.name, answer.status_code, is_charged=is_charged, records=records)
    return answer


async def _served(
    platform: Platform, endpoint: Endpoint, call: Call, fault: Fault | None
) -> tuple[Response, int]:
    """The answer to a call that has been charged, and its records."""
    if fault is not None and fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    error = fault.error() if fault is not None else None
    if error is not None:
        return _failed(platform, error, fault), 0
    try:
        _obey_knobs(platform)
        reply = endpoint.answer(platform, call)
    except ApiError as refused:
        return _failed(platform, refused, None), 0
    if isinstance(reply, TextFile):
        answer, records = text_file(reply.text), 0
    else:
        data = with_extra_keys(reply.data) if platform.knobs.extra_keys else reply.data
        answer, records = success(data, reply.error, platform.clock), reply.records
        answer.status_code = reply.status
    if fault is not None and fault.status is not None:
        answer.status_code = fault.status
    return answer, records


def _obey_knobs(platform: Platform) -> None:
    """Raise what the realistic mode has in store for this call."""
    knobs = platform.knobs
    if knobs.burst_limit_qps is not None:
        recent, now_s = platform.recent_calls_s, platform.clock.now_s()
        while recent and not now_s - _BURST_WINDOW_S < recent[0] <= now_s:
            recent.popleft()
        recent.append(now_s)
        if len(recent) > knobs.burst_limit_qps:
            raise rate_limit_exceeded()
    if knobs.error_500_p and platform.rng.random() < knobs.error_500_p:
        raise ApiError(500, "internal_error", "Something is wrong. Please try again later.")


def _failed(platform: Platform, error: ApiError, fault: Fault | None) -> Response:
    is_html = fault.html if fault is not None else error.status >= 500 and _is_proxy_page(platform)
    if is_html:
        return html_failure(error.status)
    return failure(error, platform.clock, has_data=not platform.knobs.errors_without_data)


def _is_proxy_page(platform: Platform) -> bool:
    return bool(platform.knobs.html_error_p) and platform.rng.random() < platform.knobs.html_error_p


def _delivered(answer: Response, fault: Fault | None) -> Response:
    """The answer as it is, or one that promises more bytes than come before the connection breaks."""
    if fault is None or not fault.cut_body:
        return answer
    body = bytes(answer.body)
    headers = {"content-length": str(len(body) + _PROMISED_TOO_MUCH_BYTES)}

    async def all_there_is() -> AsyncIterator[bytes]:
        yield body

    return StreamingResponse(
        all_there_is(), answer.status_code, headers=headers, media_type=answer.media_type
    )


def _note(
    platform: Platform, endpoint: str, status: int, *, is_charged: bool = False, records: int = 0
) -> None:
    platform.journal.append(
        {"endpoint": endpoint, "status": status, "charged": is_charged, "records": records}
    )
