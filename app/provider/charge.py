"""What the platform counts for a call, by its outcome.

| outcome | requests | records |
| --- | --- | --- |
| nothing was written | 0 | 0 |
| 401 | 0 | 0 |
| any other complete answer, 400, 403, 429 and 5xx included | 1 | those that came |
| 2xx that cannot be read | 1 | all that was reserved |
| cut off, timed out | all that was reserved | all that was reserved |

500 is reported to count; 400 and 429 are undocumented and counted to be safe; 401 and token calls are taken
as free (facts, section 4, October 2026).
"""

from dataclasses import dataclass
from typing import assert_never

from app.provider.answers import Failure, Success
from app.provider.platform import NotDispatched, OutcomeUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Upstream units of one call."""

    requests: int
    records: int

    def __add__(self, other: "Charge") -> "Charge":
        return Charge(requests=self.requests + other.requests, records=self.records + other.records)


FREE = Charge(requests=0, records=0)


def charge_for(outcome: Success | Failure | NotDispatched | OutcomeUnknown, *, reserved: Charge) -> Charge:
    """What `outcome` costs, given what was reserved for the call."""
    match outcome:
        case Success(records=records):
            return Charge(requests=1, records=records)
        case Failure(status=401) | NotDispatched():
            return FREE
        case Failure(status=status) if 200 <= status < 300:
            # The records were sent and counted by the platform, only not in a form that can be read.
            return Charge(requests=1, records=reserved.records)
        case Failure():
            return Charge(requests=1, records=0)
        case OutcomeUnknown():
            return reserved
        case _:
            assert_never(outcome)
