"""Notices in words: what each says, to whom, and what of it programs are given."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from app.administration.asking import RequestState, ShownRequest, shown_requests
from app.administration.freezing import Freezable, ShownFreeze, shown_freezes
from app.administration.notices import Kind, Message
from app.administration.shown import scope_names
from app.administration.state import QuotaRequest, State
from app.administration.wording import key_said, scope_in_text, scope_said
from app.audit.entries import Value
from app.identity.roles import Role
from app.quota.arithmetic import ScopeKind, Window, resets_at

_DESK: Final = frozenset({Role.ADMIN, Role.QUOTA_ADMIN})
"""Who hears of everything that has to do with limits."""
_WATCH: Final = frozenset({Role.ADMIN, Role.COMPLIANCE})
"""Who hears of freezes, since a compromise of security may have to be reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    event: str
    subject: str
    lines: tuple[str, ...]
    data: Mapping[str, Value]
    people: frozenset[str]
    pages: tuple["_Page", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """Where in the console one goes on: `what` is found there, `name` is how people get there without a link."""

    what: str
    path: str
    name: str

    def said(self, console: str) -> str:
        return (
            f"{self.what}: {console}{self.path}"
            if console
            else f"{self.what}: in the console under {self.name}."
        )


_TODAY: Final = _Page(what="The day so far", path="/today", name="Today")


def message_of(
    state: State, *, notice: str, kind: str, about: Mapping[str, Value], created_us: int, console: str = ""
) -> Message:
    """The notice in words, by the names of today; who has been retired or frozen meanwhile is told nothing.

    `console` is where people reach the console, such as `https://bursar.example.edu/console`, for links.
    """
    at = dt.datetime.fromtimestamp(created_us / 1_000_000, dt.UTC)
    say = _SAY.get(kind)
    try:
        told = _unknown(kind, about) if say is None else say(state, about, at)
    except (LookupError, ValueError, StopIteration):
        told = _unknown(kind, about)
    addresses = {
        each.id: each.email
        for each in state.people
        if each.id in told.people and each.retired_us is None and state.freeze_of(each.id) is None
    }
    return Message(
        id=notice,
        event=told.event,
        at=at,
        subject=_one_line(told.subject),
        text="\n".join(map(_one_line, (*told.lines, *(each.said(console) for each in told.pages)))) + "\n",
        data=told.data,
        recipients=addresses,
    )


def _threshold(state: State, about: Mapping[str, Value], at: dt.datetime) -> _Told:
    scope, percent = about["scope"], about["percent"]
    kind, scope_id = (str(scope["kind"]), str(scope["id"])) if isinstance(scope, Mapping) else ("", "")
    window = Window(str(about["window"])) if about["window"] else None
    limit = f"{about['dimension']}/{window}" if window else str(about["dimension"])
    label = scope_said(scope_names(state).get((kind, scope_id), f"{kind}:{scope_id}"))
    said = key_said(limit)
    resets = resets_at(window, at)
    return _Told(
        event="quota.threshold",
        subject=f"{percent} % of {said} used: {label}",
        lines=(
            (
                f"{label} has taken {about['taken']} of its limit of {about['amount']} {said}, which is {percent} % "
                "or more."
            ),
            "It does not come back by itself."
            if resets is None
            else f"It comes back at {resets:%Y-%m-%d %H:%M} UTC.",
        ),
        pages=(
            _Page(what="What is left of your limits", path="/me", name="Me"),
            _Page(what="Who needs more can ask", path="/more", name="Ask for more"),
        ),
        data={
            "scope": _scope_data(state, kind, scope_id),
            "limit": limit,
            "percent": percent,
            "amount": about["amount"],
            "taken": about["taken"],
        },
        people=_desk(state) | _concerned(state, kind, scope_id),
    )


def _request_made(state: State, about: Mapping[str, Value], _at: dt.datetime) -> _Told:
    request, shown = _request(state, about)
    more = f"{shown.amount} more {key_said(shown.limit)}"
    return _Told(
        event="request.made",
        subject=f"{shown.asked_by} asks for {more}: {scope_said(shown.scope)}",
        lines=(
            f"{shown.asked_by} asks for {more} for {scope_in_text(shown.scope)} through {shown.until}.",
            *f"Reason: {shown.reason}".splitlines(),
            (
                f"On the machine, `bursar request grant {shown.id}` grants it, and `bursar request refuse {shown.id} "
                "--reason TEXT` refuses it."
            ),
        ),
        pages=(_Page(what="Grant or refuse it", path="/requests", name="Requests"),),
        data=_request_data(state, request),
        people=_desk(state) - {request.asked_by},
    )


def _request_decided(state: State, about: Mapping[str, Value], _at: dt.datetime) -> _Told:
    request, shown = _request(state, about)
    given = next((each for each in state.raises if each.id == request.raise_id), None)
    data = _request_data(state, request)
    said = key_said(shown.limit)
    lines = [
        (
            f"Your request for {shown.amount} more {said} for {scope_in_text(shown.scope)} through {shown.until} was "
            f"{shown.state}."
        )
    ]
    if given is not None:
        last = dt.datetime.fromtimestamp(given.until_us / 1_000_000, dt.UTC)
        lines.append(f"The limit holds {given.amount} more until {last:%Y-%m-%d %H:%M} UTC, from now on.")
        data |= {"granted_amount": given.amount, "granted_until": f"{shown.granted_until}"}
    if shown.state is RequestState.REFUSED:
        lines.append(f"Reason: {shown.decision_reason}")
    return _Told(
        event="request.decided",
        subject=f"Request {shown.state}: {shown.granted_amount or shown.amount} more {said}, {scope_said(shown.scope)}",
        lines=tuple(lines),
        pages=(_Page(what="Your requests", path="/more", name="Ask for more"),),
        data=data,
        people=frozenset({request.asked_by}),
    )


def _credential_refused(state: State, about: Mapping[str, Value], at: dt.datetime) -> _Told:
    name = _credential_name(state, str(about["credential"]))
    return _Told(
        event="credential.refused",
        subject=f"The platform refuses credential {name}",
        lines=(
            f"The platform did not take credential {name} at {at:%Y-%m-%d %H:%M} UTC, so its calls fail.",
            (
                f"On the machine, `bursar credential verify {name}` asks again at no cost, and `bursar credential rotate "
                f"{name}` replaces the secret."
            ),
        ),
        pages=(_TODAY,),
        data={"credential": {"id": str(about["credential"]), "name": name}},
        people=_desk(state),
    )


def _platform_spent(state: State, about: Mapping[str, Value], at: dt.datetime) -> _Told:
    name = _credential_name(state, str(about["credential"]))
    return _Told(
        event="platform.spent",
        subject=f"The platform calls the day of {name} used up ({about['family']})",
        lines=(
            (
                f"At {at:%Y-%m-%d %H:%M} UTC the platform called the day's {about['family']} quota of credential {name} "
                f"used up. Bursar had counted {about['calls']} calls and {about['records']} records."
            ),
            (
                "If that is less than the credential's limits, somebody else uses it, or the platform allows less than "
                "is set here."
            ),
        ),
        pages=(_TODAY,),
        data={
            "credential": {"id": str(about["credential"]), "name": name},
            "family": about["family"],
            "day": about["day"],
            "calls": about["calls"],
            "records": about["records"],
        },
        people=_desk(state),
    )


def _frozen(state: State, about: Mapping[str, Value], _at: dt.datetime) -> _Told:
    return _freeze_told(state, about, is_on=True)


def _unfrozen(state: State, about: Mapping[str, Value], _at: dt.datetime) -> _Told:
    return _freeze_told(state, about, is_on=False)


def _freeze_told(state: State, about: Mapping[str, Value], *, is_on: bool) -> _Told:
    shown = _freeze(state, str(about["freeze"]))
    freeze = next(each for each in state.freezes if each.id == shown.id)
    by = shown.frozen_by if is_on else shown.lifted_by
    object_: dict[str, Value] = {"kind": shown.kind.value, "id": freeze.object_id}
    if shown.kind is not Freezable.PERSON:
        object_["name"] = shown.name
    leads = frozenset(each.lead_id for each in state.projects if each.id == freeze.object_id and each.lead_id)
    return _Told(
        event="access.frozen" if is_on else "access.unfrozen",
        subject=f"{shown.kind} {shown.name} {'is frozen' if is_on else 'goes on'}",
        lines=(
            f"{shown.kind} {shown.name} was {'frozen' if is_on else 'unfrozen'} by {by}."
            + (" Nothing is sent or served for it until it is unfrozen." if is_on else ""),
            f"Reason of the freeze: {shown.reason}",
        ),
        data={"freeze": shown.id, "object": object_},
        people=_holding(state, _WATCH) | leads,
    )


def _approval_ending(state: State, about: Mapping[str, Value], at: dt.datetime) -> _Told:
    project = next(each for each in state.projects if each.id == about["project"])
    until = dt.date.fromisoformat(str(about["until"]))
    left = (until - at.date()).days
    return _Told(
        event="approval.ending",
        subject=f"The approval of {project.name} ends on {until}",
        lines=(
            (
                f"The approval {project.approval_reference} of project {project.name} ends with {until} (UTC), in {left} "
                f"day{'' if left == 1 else 's'}. From then on its calls are refused, and what is held for it is deleted."
            ),
            (
                "Once the platform has prolonged it, an administrator enters the new day in the project's form, or on the "
                f"machine with `bursar project set {project.name} --until DATE`."
            ),
        ),
        pages=(
            _Page(what="The form, for administrators", path=f"/projects/{project.id}/form", name="Projects"),
            _Page(what="The project, for its lead", path=f"/my-projects/{project.id}", name="Me"),
        ),
        data={"project": {"id": project.id, "name": project.name}, "until": until.isoformat(), "days": left},
        people=_holding(state, {Role.ADMIN}) | ({project.lead_id} if project.lead_id else frozenset()),
    )


def _verification_failed(state: State, about: Mapping[str, Value], at: dt.datetime) -> _Told:
    what = "something is missing" if about["finding"] == "gap" else "something was changed"
    return _Told(
        event="audit.verification_failed",
        subject="The log does not hold",
        lines=(
            (
                f"The verification of the log's {about['entries']} entries that ended at {at:%Y-%m-%d %H:%M} UTC found that "
                f"{what}: {about['problems']} problems."
            ),
            "The console names them, and so does `bursar audit verify` on the machine. Leave everything as it is.",
        ),
        pages=(_Page(what="What was found", path="/audit/verification", name="Audit, Verification"),),
        data={name: about[name] for name in ("verification", "finding", "problems", "entries")},
        people=_holding(state, _WATCH),
    )


def _checkpoint(state: State, about: Mapping[str, Value], _at: dt.datetime) -> _Told:  # noqa: ARG001
    origin, size, note = str(about["origin"]), about["size"], str(about["note"])
    return _Told(
        event="audit.checkpoint",
        subject=f"The log has {size} entries: {origin}",
        lines=tuple(note.splitlines()),
        data={"origin": origin, "size": size, "note": note},
        people=frozenset(),
    )


def _checkpoint_of_day(state: State, about: Mapping[str, Value], _at: dt.datetime) -> _Told:
    origin, size, note = str(about["origin"]), about["size"], str(about["note"])
    return _Told(
        event="audit.checkpoint_of_day",
        subject=f"The log on {about['day']}: {size} entries",
        lines=(
            "Keep this message. It holds the signed head of the audit log as it was on that day. To see whether",
            "entries were lost or exchanged since, give the lines below to an administrator as FILE, for",
            "`bursar audit consistency --checkpoint FILE` on the machine.",
            "",
            *note.splitlines(),
        ),
        data={"origin": origin, "size": size, "note": note, "day": about["day"]},
        people=_holding(state, {Role.COMPLIANCE}),
    )


def _unknown(kind: str, about: Mapping[str, Value]) -> _Told:
    """For a notice that another release wrote, of things that this one does not know."""
    return _Told(event=f"other.{kind}", subject=kind, lines=(kind,), data=about, people=frozenset())


_SAY: Final[Mapping[str, Callable[[State, Mapping[str, Value], dt.datetime], _Told]]] = {
    Kind.THRESHOLD: _threshold,
    Kind.REQUEST_MADE: _request_made,
    Kind.REQUEST_DECIDED: _request_decided,
    Kind.CREDENTIAL_REFUSED: _credential_refused,
    Kind.PLATFORM_SPENT: _platform_spent,
    Kind.FROZEN: _frozen,
    Kind.UNFROZEN: _unfrozen,
    Kind.APPROVAL_ENDING: _approval_ending,
    Kind.VERIFICATION_FAILED: _verification_failed,
    Kind.CHECKPOINT: _checkpoint,
    Kind.CHECKPOINT_OF_DAY: _checkpoint_of_day,
}


def _desk(state: State) -> frozenset[str]:
    return _holding(state, _DESK)


def _holding(state: State, roles: Iterable[str]) -> frozenset[str]:
    wanted = set(roles)
    return frozenset(each.id for each in state.people if wanted & set(each.roles))


def _concerned(state: State, kind: str, scope_id: str) -> frozenset[str]:
    """Whom a limit binds, besides those who set it: a project's lead, a member, the holder of a key."""
    if kind == ScopeKind.PROJECT:
        return frozenset(each.lead_id for each in state.projects if each.id == scope_id and each.lead_id)
    place_id = scope_id
    if kind == ScopeKind.KEY:
        place_id = next((each.membership_id for each in state.keys if each.id == scope_id), "")
    return frozenset(each.person_id for each in state.memberships if each.id == place_id)


def _scope_data(state: State, kind: str, scope_id: str) -> dict[str, Value]:
    """A scope for programs: projects and credentials by name, people's own by id."""
    data: dict[str, Value] = {"kind": kind, "id": scope_id}
    names = {each.id: each.name for each in state.projects} | {
        each.id: each.name for each in state.credentials
    }
    if scope_id in names:
        data["name"] = names[scope_id]
    return data


def _request_data(state: State, request: QuotaRequest) -> dict[str, Value]:
    limit = f"{request.dimension}/{request.window}" if request.window else str(request.dimension)
    return {
        "request": request.id,
        "state": request.state,
        "scope": _scope_data(state, request.scope_kind, request.scope_id),
        "limit": limit,
        "amount": request.amount,
        "until": request.until_day.isoformat(),
        "asked_by": request.asked_by,
        "raise": request.raise_id,
    }


def _request(state: State, about: Mapping[str, Value]) -> tuple[QuotaRequest, ShownRequest]:
    request = next(each for each in state.requests if each.id == about["request"])
    return request, next(each for each in shown_requests(state) if each.id == request.id)


def _freeze(state: State, freeze: str) -> ShownFreeze:
    return next(each for each in shown_freezes(state, with_lifted=True) if each.id == freeze)


def _credential_name(state: State, credential: str) -> str:
    return next((each.name for each in state.credentials if each.id == credential), credential)


def _one_line(text: str) -> str:
    """The text without what could break out of a line, since names come from outside."""
    return "".join(char if char.isprintable() else " " for char in text)
