"""What the log says of refused requests that come in floods: one entry for many, with exact counts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.audit.calls import versioned
from app.audit.entries import Draft, Value
from app.ids import EntryId

MOST_KINDS: Final = 80
"""Kinds in one entry; each takes at most 190 bytes of the 16 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Refused requests that look alike: where they came from, what they asked for, what they were told."""

    type: str
    method: str
    route: str
    code: str
    status: int | None
    ip_tag: str


def kind_of(draft: Draft) -> Kind:
    """The kind of a refused request, from the entry that it would have had alone."""
    fields = draft.fields
    http, src = _object(fields.get("http")), _object(fields.get("src"))
    status = fields.get("status")
    return Kind(
        type=draft.type,
        method=str(http.get("method", "")),
        route=str(http.get("route", "")),
        code=str(_object(fields.get("decision")).get("code", "")),
        status=status if isinstance(status, int) else None,
        ip_tag=str(src.get("ip_tag", "")),
    )


def batch_entry(entry: EntryId, counts: Counter[Kind], *, ms: int) -> Draft:
    """The one entry of all that were counted within `ms` milliseconds."""
    rows: list[Value] = [
        {
            "type": kind.type,
            "method": kind.method,
            "route": kind.route,
            "code": kind.code,
            **({} if kind.status is None else {"status": kind.status}),
            "ip_tag": kind.ip_tag,
            "n": count,
        }
        for kind, count in counts.most_common()
    ]
    fields: dict[str, Value] = {
        "actor": {"kind": "unknown"},
        "decision": {"verdict": "refused", "rule": versioned("flood")},
        "counts": rows,
        "total": counts.total(),
        "ms": ms,
    }
    return Draft(type="reject_batch", fields=fields, id=entry)


def _object(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}
