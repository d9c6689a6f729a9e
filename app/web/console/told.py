"""An entry of the log as a person reads it: who, what, under which approval, by which rule, at what cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.administration.policy import shown_rules
from app.administration.state import State
from app.storage.searching import FoundEntry
from app.web.console.meanings import code_said, kind_said, next_after, rule_said


@dataclass(frozen=True)
class Told:
    """One entry with the names of a directory."""

    found: FoundEntry
    names: "Names"

    @cached_property
    def entry(self) -> Mapping[str, Any]:
        """What the leaf says; of one that was pruned, what is left to say."""
        return self.found.entry

    @property
    def is_pruned(self) -> bool:
        """Whether only its hash is left."""
        return not self.found.leaf

    @property
    def kind(self) -> str:
        """What sort of entry it is."""
        return "pruned" if self.is_pruned else kind_said(self.type)

    @property
    def type(self) -> str:
        """The entry's type."""
        return str(self.entry.get("type", ""))

    @property
    def ts_us(self) -> int | None:
        """When it was written."""
        at = self.entry.get("ts_us")
        return at if isinstance(at, int) else None

    @property
    def who(self) -> str:
        """Whoever acted."""
        actor = self._object("actor")
        principal = actor.get("principal")
        if isinstance(principal, str):
            return self.names.person(principal)
        return {"unknown": "somebody unknown", "": "Bursar itself"}.get(str(actor.get("kind", "")), "Bursar")

    @property
    def project(self) -> str:
        """The project that it was in."""
        project = self._object("actor").get("project")
        return self.names.project(project) if isinstance(project, str) else ""

    @property
    def what(self) -> str:
        """The endpoint or act, else the route."""
        op = self.entry.get("op")
        if isinstance(op, str):
            return op
        if self.type == "heartbeat":
            return str(self.entry.get("what", ""))
        http = self._object("http")
        return f"{http.get('method', '')} {http.get('route', '')}".strip()

    @property
    def is_refused(self) -> bool:
        """Whether it was turned away."""
        return self._object("decision").get("verdict") == "refused"

    @property
    def rule(self) -> str:
        """The rule that decided."""
        return str(self._object("decision").get("rule", ""))

    @property
    def code(self) -> str:
        """The code of what went wrong; empty where all went well."""
        decision, upstream = self._object("decision"), self._object("upstream")
        code = decision.get("code") or upstream.get("code") or self.entry.get("err") or ""
        return "" if code == "ok" else str(code)

    @property
    def is_reused(self) -> bool:
        """Whether the answer cost nothing, being held or fetched for somebody else."""
        return "cache" in self.entry or "coalesced_with" in self.entry

    @property
    def requests(self) -> int:
        """Upstream requests that were charged."""
        return self._charged("requests", "follower_calls", "ad_calls")

    @property
    def records(self) -> int:
        """Upstream records that were charged."""
        return self._charged("records", "follower_records", "ad_records")

    @property
    def cost(self) -> str:
        """What it cost or saved, in words."""
        if self.is_reused and not self.requests:
            return "saved 1 request"
        if "quota" not in self.entry or "charged" not in self._object("quota"):
            return ""
        return f"{_counted(self.requests, 'request')}, {_counted(self.records, 'record')}"

    @property
    def why(self) -> str:
        """Why it was refused or failed: the clause of the rule, or what the code means."""
        if not self.code and not self.is_refused:
            return ""
        return why_refused(self.names, self.rule, self.code)

    @property
    def what_next(self) -> str:
        """What its owner can do about it."""
        if not self.is_refused and not self.code:
            return ""
        if self.rule.startswith("terms-accepted"):
            return "Read and accept the terms under Terms. Nothing was spent."
        if self.names.clause(self.rule):
            return "Ask within your approval, or have whoever leads the project see to it. Nothing was spent."
        return next_after(self.code)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Everything worth reading, as labels and texts."""
        entry, http, upstream = self.entry, self._object("http"), self._object("upstream")
        page, source = self._object("page"), self._object("src")
        told = [
            ("Who", self.who),
            ("Roles", ", ".join(map(str, self._object("actor").get("roles", ())))),
            ("Key", str(self._object("actor").get("key_id", ""))),
            ("Project", self.project),
            ("Approval", str(entry.get("approval", ""))),
            ("What", self.what),
            ("Fields", ", ".join(map(str, entry.get("fields", ())))),
            ("Page", _page(page)),
            ("Decision", self._object("decision").get("verdict", "")),
            ("By rule", self.rule),
            ("The terms say", self.names.clause(self.rule)),
            ("Code", self.code),
            ("Cost", self.cost),
            ("Answered from", _cache(self._object("cache"))),
            ("Platform's answer", _upstream(upstream)),
            ("Platform's log id", str(upstream.get("log_id") or "")),
            ("Of what", self._of_what()),
            ("Before", _short(entry.get("before"))),
            ("After", _short(entry.get("after"))),
            ("Read of the log", _short(entry.get("reads"))),
            ("Request", f"{http.get('method', '')} {http.get('route', '')}".strip()),
            ("Answer's status", str(entry.get("status", ""))),
            ("Client", str(source.get("ua_class", ""))),
            (
                "Written by",
                f"{entry.get('replica', '')}, number {entry.get('rseq', '')} of run {entry.get('boot', '')}",
            ),
        ]
        return [(label, str(text)) for label, text in told if text]

    def _of_what(self) -> str:
        thing = self._object("object")
        if not thing:
            return ""
        name = self.names.of(str(thing.get("kind", "")), str(thing.get("id", "")))
        what = entry_what if isinstance(entry_what := self.entry.get("what"), str) else ""
        return f"{thing.get('kind', '')} {name}: {what}".strip(": ")

    def _charged(self, *names: str) -> int:
        charged = self._object("quota").get("charged")
        if not isinstance(charged, Mapping):
            return 0
        return sum(value for name in names if isinstance(value := charged.get(name), int))

    def _object(self, name: str) -> Mapping[str, Any]:
        value = self.entry.get(name)
        return value if isinstance(value, Mapping) else {}


class Names:
    """Names for the ids that entries hold; what was retired keeps its name."""

    def __init__(self, state: State) -> None:
        self._of = {
            "person": {each.id: each.email for each in state.people},
            "project": {each.id: each.name for each in state.projects},
            "credential": {each.id: each.name for each in state.credentials},
        }
        self._clauses: dict[str, str] = {each["rule"]: each["clause"] for each in shown_rules(state)}

    def of(self, kind: str, object_id: str) -> str:
        """The name of an object, or its id where it has none."""
        kind = {"password": "person", "freeze": "person"}.get(kind, kind)
        return self._of.get(kind, {}).get(object_id, object_id)

    def person(self, person: str) -> str:
        """A person's address."""
        if person.startswith("os:"):
            return f"operator on the machine ({person})"
        return self.of("person", person)

    def project(self, project: str) -> str:
        """A project's name."""
        return self.of("project", project)

    def clause(self, rule: str) -> str:
        """What a rule of the terms says; empty for rules of Bursar's own."""
        return self._clauses.get(rule, "")


def why_refused(names: Names, rule: str, code: str) -> str:
    """What it means that this rule objected, or that this code was answered."""
    return rule_said(rule, code) or names.clause(rule) or code_said(code)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _page(page: Mapping[str, Any]) -> str:
    if not page:
        return ""
    size = page.get("size")
    return f"from {page.get('cursor', 0)}" + (f", {size} records at most" if size else "")


def _cache(cache: Mapping[str, Any]) -> str:
    if not cache:
        return ""
    age_s = cache.get("age_s")
    age = f", {age_s} seconds old" if isinstance(age_s, int) else ""
    told = {"collapsed": "another call's fetch", "stale": "what is held past its time"}
    return told.get(str(cache.get("state")), "what is held") + age


def _upstream(upstream: Mapping[str, Any]) -> str:
    if not upstream:
        return ""
    parts = [
        str(upstream[name]) for name in ("status", "code", "err") if upstream.get(name) not in {None, ""}
    ]
    if "records" in upstream:
        parts.append(f"{upstream['records']} records")
    return ", ".join(parts) if upstream.get("called", True) else f"not called: {', '.join(parts)}"


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_short(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return str(value)
