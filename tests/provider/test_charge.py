"""Every outcome of a call has its price."""

import pytest

from app.errors import UpstreamUnavailable
from app.provider.answers import Failure, FailureKind, Success
from app.provider.charge import FREE, Charge, charge_for
from app.provider.platform import NotDispatched, OutcomeUnknown

RESERVED = Charge(requests=1, records=100)


def _success(*, records: int, status: int = 200) -> Success:
    return Success(
        data={},
        records=records,
        cursor=0,
        has_more=False,
        search_id=None,
        status=status,
        message="",
        log_id="",
    )


def _failure(status: int, kind: FailureKind) -> Failure:
    return Failure(kind=kind, status=status, code="c", message="m", log_id="")


@pytest.mark.parametrize(
    ("outcome", "charge"),
    [
        (_success(records=27), Charge(requests=1, records=27)),
        (_success(records=0), Charge(requests=1, records=0)),
        (_success(records=5, status=500), Charge(requests=1, records=5)),
        (_success(records=120), Charge(requests=1, records=120)),
        (_failure(400, FailureKind.INVALID), Charge(requests=1, records=0)),
        (_failure(403, FailureKind.SCOPE), Charge(requests=1, records=0)),
        (_failure(429, FailureKind.QUOTA), Charge(requests=1, records=0)),
        (_failure(429, FailureKind.THROTTLED), Charge(requests=1, records=0)),
        (_failure(500, FailureKind.BROKEN), Charge(requests=1, records=0)),
        (_failure(504, FailureKind.BROKEN), Charge(requests=1, records=0)),
        (_failure(401, FailureKind.TOKEN_REJECTED), FREE),
        (_failure(401, FailureKind.SCOPE), FREE),
        (_failure(200, FailureKind.BROKEN), RESERVED),
        (NotDispatched("connection refused"), FREE),
        (OutcomeUnknown("timed out"), RESERVED),
    ],
)
def test_each_outcome_costs_what_the_platform_counts(
    outcome: Success | Failure | NotDispatched | OutcomeUnknown, charge: Charge
) -> None:
    assert charge_for(outcome, reserved=RESERVED) == charge


@pytest.mark.parametrize(
    "error", [NotDispatched("connection refused"), OutcomeUnknown("timed out after 250 s")]
)
def test_what_the_port_raises_stands_alone_and_keeps_its_reason(
    error: NotDispatched | OutcomeUnknown,
) -> None:
    assert isinstance(error, UpstreamUnavailable)
    assert error.reason in error.message
    assert "Please try again later" in error.message
    with pytest.raises(AttributeError):
        error.reason = "something else"  # type: ignore[misc]
