"""What the log says of one call: entries built from facts, without a secret, an address or a body."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, assert_never

from app.audit.entries import Draft, Value
from app.audit.questions import QuestionKeys
from app.identity.callers import Caller, Operator
from app.ids import EntryId, new_entry_id
from app.provider.answers import Failure, Success
from app.provider.platform import NotDispatched, OutcomeUnknown
from app.query import ResearchQuery

_TAG_CHARS = 16
_APPROVAL_CHARS = 200
"""People may write much there, and an entry has room for a question of 8 KiB beside it."""
_AGENTS = (
    ("python-requests", "python-requests"),
    ("python-httpx", "python-httpx"),
    ("aiohttp", "aiohttp"),
    ("libcurl", "r"),
    ("httr", "r"),
    ("curl", "curl"),
    ("mozilla", "browser"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request came from, as far as the log may know it."""

    method: str
    route: str
    request_bytes: int
    address: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request for Bursar's own API: who asks, once that is known, and the id that its entry shall have.

    `code` says why it was refused, `rule` under which rule, where that is another than that of all pages. `op` is set where somebody signs in or out, or would have to. `reads` is set where what others did is looked at: the place in the
    log, as far as it was named.
    """

    entry: EntryId
    who: Operator | Caller | None = None
    code: str | None = None
    reads: Mapping[str, Value] | None = None
    op: str | None = None
    rule: str | None = None


TAG_PURPOSE: Final = "tags in entries"
"""What the key of tags is derived for."""


class Scribe:
    """Drafts entries; `key` blinds addresses, which could be guessed if plainly hashed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def intent(
        self,
        origin: Origin,
        caller: Caller,
        query: ResearchQuery,
        decided: Mapping[str, Value],
        *,
        keys: QuestionKeys,
    ) -> Draft:
        """A call about to go upstream; `decided` names the rule, and rules that objected unenforced."""
        fields = self._of_call(origin, caller, query, keys)
        fields["decision"] = {"verdict": "allowed", **decided}
        return _with_question("intent", fields, query, keys)

    def outcome(
        self,
        origin: Origin,
        caller: Caller,
        query: ResearchQuery,
        decided: Mapping[str, Value],
        *,
        keys: QuestionKeys,
        intent_ix: int,
        **more: Value,
    ) -> Draft:
        """What became of the call whose intent stands at `intent_ix`."""
        fields = self._of_call(origin, caller, query, keys)
        fields["decision"] = {"verdict": "allowed", **decided}
        return Draft(type="outcome", fields={**fields, "intent_ix": intent_ix, **more})

    def served(
        self,
        origin: Origin,
        caller: Caller,
        query: ResearchQuery,
        decided: Mapping[str, Value],
        *,
        keys: QuestionKeys,
        **more: Value,
    ) -> Draft:
        """A call answered without going upstream."""
        fields = self._of_call(origin, caller, query, keys)
        fields["decision"] = {"verdict": "allowed", **decided}
        return _with_question("decision", {**fields, **more}, query, keys)

    def refused(
        self,
        origin: Origin,
        *,
        code: str,
        rule: str,
        caller: Caller | None = None,
        query: ResearchQuery | None = None,
        keys: QuestionKeys | None = None,
        beside: Mapping[str, Value] = MappingProxyType({}),
        **more: Value,
    ) -> Draft:
        """A call that was turned away; the message is left out, since it may quote the caller.

        `keys` seal the question, where it could be read.
        """
        fields: dict[str, Value]
        if caller is not None and query is not None and keys is not None:
            fields = self._of_call(origin, caller, query, keys)
        else:
            fields = {"actor": actor(caller), **self._of_request(origin)}
        fields["decision"] = {"verdict": "refused", "rule": versioned(rule), "code": code, **beside}
        if query is None or keys is None:
            return Draft(type="decision", fields={**fields, **more})
        return _with_question("decision", {**fields, **more}, query, keys)

    def token(self, origin: Origin, caller: Caller | None, *, code: str, rule: str = "identify") -> Draft:
        """An access token given (`code` is ok) or refused."""
        verdict = "allowed" if code == "ok" else "refused"
        fields: dict[str, Value] = {"actor": actor(caller), **self._of_request(origin), "op": "oauth/token"}
        fields["decision"] = {"verdict": verdict, "rule": versioned(rule), "code": code}
        return Draft(type="auth", fields=fields)

    def seen(self, origin: Origin, visitor: Visit | Operator | Caller | None, *, status: int) -> Draft:
        """A request for Bursar's own API or pages, answered with `status`."""
        visit = visitor if isinstance(visitor, Visit) else Visit(entry=new_entry_id(), who=visitor)
        verdict = "refused" if status >= 400 else "allowed"
        decision: dict[str, Value] = {"verdict": verdict, "rule": versioned(visit.rule or "api")}
        if visit.code is not None:
            decision["code"] = visit.code
        fields: dict[str, Value] = {
            "actor": _visitor(visit.who),
            **self._of_request(origin),
            "decision": decision,
            "status": status,
        }
        if visit.op is not None:
            return Draft(type="auth", fields={**fields, "op": visit.op}, id=visit.entry)
        if visit.reads is None:
            return Draft(type="decision", fields=fields, id=visit.entry)
        return Draft(type="audit_read", fields={**fields, "reads": visit.reads}, id=visit.entry)

    def _of_call(
        self, origin: Origin, caller: Caller, query: ResearchQuery, keys: QuestionKeys
    ) -> dict[str, Value]:
        return {
            "actor": actor(caller),
            **self._of_request(origin),
            "op": query.endpoint,
            "approval": caller.approval.reference[:_APPROVAL_CHARS],
            "params_hmac": keys.digest(query),
            "fields": list(query.fields),
            "page": {"cursor": query.page.cursor, "size": query.page.size},
        }

    def _of_request(self, origin: Origin) -> dict[str, Value]:
        return {
            "http": {"method": origin.method, "route": origin.route, "req_bytes": origin.request_bytes},
            "src": {
                "ip_tag": self._tag(origin.address.encode(), _TAG_CHARS),
                "ua_class": agent_class(origin.agent),
            },
        }

    def _tag(self, value: bytes, chars: int) -> str:
        return hmac.digest(self._key, value, "sha256").hex()[:chars]


def _with_question(
    entry_type: str, fields: Mapping[str, Value], query: ResearchQuery, keys: QuestionKeys
) -> Draft:
    entry = new_entry_id()
    sealed = keys.sealed(query, entry=entry, entry_type=entry_type)
    return Draft(type=entry_type, fields={**fields, **sealed.fields}, id=entry, kept=sealed.kept)


def _visitor(who: Operator | Caller | None) -> dict[str, Value]:
    if not isinstance(who, Operator):
        return actor(who)
    return {"kind": "person", "key_id": who.token, "principal": who.person, "roles": sorted(who.roles)}


def actor(caller: Caller | None) -> dict[str, Value]:
    """Who acts, by ids that say nothing about a person."""
    if caller is None:
        return {"kind": "unknown"}
    return {
        "kind": "key",
        "key_id": caller.key,
        "principal": caller.person,
        "project": caller.project,
        "credential": caller.credential,
        "roles": sorted(caller.roles),
    }


def upstream_facts(outcome: Success | Failure | NotDispatched | OutcomeUnknown) -> dict[str, Value]:
    """What the log keeps of the platform's answer; its messages are left out, since they may name people."""
    match outcome:
        case Success():
            return {
                "called": True,
                "status": outcome.status,
                "code": "ok",
                "log_id": outcome.log_id,
                "records": outcome.records,
            }
        case Failure():
            return {"called": True, "status": outcome.status, "code": outcome.code, "log_id": outcome.log_id}
        case NotDispatched(reason=reason):
            return {"called": False, "err": reason}
        case OutcomeUnknown(reason=reason):
            return {"called": True, "err": reason}
        case never:
            assert_never(never)


def versioned(rule: str) -> str:
    """The rule's id with its version: what the program itself decides has been the same from the first release."""
    return rule if "/" in rule else f"{rule or 'default'}/1"


def agent_class(agent: str) -> str:
    """The kind of client, from its User-Agent: one of a few words, never the text itself."""
    lowered = agent[:200].lower()
    return next((name for mark, name in _AGENTS if mark in lowered), "other")
