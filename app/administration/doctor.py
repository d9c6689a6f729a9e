"""What is wrong with an installation, from facts that others have gathered, each with its mend."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.administration.freezing import shown_freezes
from app.administration.registry import LogSize
from app.administration.retention import is_over
from app.administration.rosters import roster_sizes
from app.administration.second_person import OPEN
from app.administration.state import Project, State
from app.audit.entries import Value
from app.identity.callers import Policy
from app.identity.roles import Role
from app.policy.engine import Mode, mode_of
from app.policy.rules import ALL_RULES
from app.policy.values import ACCESS_PERIOD_YEARS, years_after

_WARN_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong (problem) or soon will be (warning), and what to do about it."""

    severity: Literal["problem", "warning"]
    code: str
    what: str
    mend: str

    def shown(self) -> dict[str, Value]:
        """As `bursar doctor --json` gives it."""
        return {"severity": self.severity, "code": self.code, "what": self.what, "mend": self.mend}


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """How many people a credential serves, of how many it may."""

    credential: str
    people: int
    limit: int

    def shown(self) -> dict[str, Value]:
        """As `bursar doctor --json` gives it."""
        return {"credential": self.credential, "people": self.people, "limit": self.limit}


def rosters(state: State) -> Sequence[Roster]:
    """The roster of every credential in use."""
    sizes = roster_sizes(projects=state.projects, memberships=state.memberships, today=state.now.date())
    return [
        Roster(credential=each.name, people=sizes.get(each.id, 0), limit=each.roster_limit)
        for each in state.credentials
        if each.retired_us is None
    ]


def examine(state: State, log: LogSize) -> Sequence[Finding]:
    """What the directory and the log's length show."""
    return [
        *_of_log(log),
        *_of_people(state),
        *_of_projects(state),
        *_of_terms(state),
        *_of_rules(state),
        *_of_freezes(state),
    ]


def _of_log(log: LogSize) -> Iterator[Finding]:
    if log.by_head != log.entries:
        yield Finding(
            severity="problem",
            code="log_broken",
            what=f"the log's head counts {log.by_head} entries, and there are {log.entries}",
            mend="stop serving, keep the database as it is, and restore it from a backup that verifies",
        )


def _of_people(state: State) -> Iterator[Finding]:
    if not any(Role.ADMIN in each.roles and each.retired_us is None for each in state.people):
        yield Finding(
            severity="warning",
            code="no_administrator",
            what="nobody has the role admin",
            mend="run `bursar init --admin EMAIL`",
        )
    for each in rosters(state):
        if each.people > each.limit:
            yield Finding(
                severity="problem",
                code="roster_exceeded",
                what=f"credential {each.credential} serves {each.people} people, and may serve {each.limit}",
                mend="end memberships, or record the platform's permission with `bursar apply`",
            )


def _of_projects(state: State) -> Iterator[Finding]:
    active = [each for each in state.projects if each.retired_us is None]
    if not active:
        yield Finding(
            severity="warning",
            code="no_project",
            what="there is no project yet, so nobody can call the platform",
            mend="describe credentials, people and projects in a file and run `bursar apply FILE`",
        )
    for each in active:
        yield from _of_approval(each, state.now.date(), state.policy)


def _of_approval(project: Project, today: dt.date, policy: Policy) -> Iterator[Finding]:
    years = ACCESS_PERIOD_YEARS.at(today, policy.amounts.get(ACCESS_PERIOD_YEARS.name, ()))
    if project.approved_until > years_after(project.approved_from, years):
        yield Finding(
            severity="warning",
            code="approval_too_long",
            what=f"approval {project.approval_reference} of project {project.name} is recorded for more than "
            f"{years} years, the longest that the platform's form offers",
            mend="look at the approval's letter, and correct `approval` in the state file if it says less",
        )
    if is_over(project, today) and project.wrapped_data_key:
        yield Finding(
            severity="warning",
            code="held_after_end",
            what=f"project {project.name} has ended, and the key of what is held for it is still there",
            mend="start `bursar serve`, which destroys it within the hour while rule nothing-after-end/1 is enforced",
        )
    days_left = (project.approved_until - today).days
    mend = "have the approval renewed, then record its new end with `bursar apply`"
    if days_left < 0:
        what = f"approval {project.approval_reference} of project {project.name} ended on {project.approved_until}"
        yield Finding(severity="problem", code="approval_ended", what=what, mend=mend)
    elif days_left <= _WARN_DAYS:
        what = f"approval {project.approval_reference} of project {project.name} ends on {project.approved_until}"
        yield Finding(
            severity="warning", code="approval_ending", what=f"{what}, in {days_left} days", mend=mend
        )


def _of_terms(state: State) -> Iterator[Finding]:
    terms = state.terms_at(state.now.date())
    if terms is None:
        yield Finding(
            severity="warning",
            code="no_terms",
            what="no version of the terms is in force, so nobody is asked to accept any",
            mend="add the platform's terms under `terms` in the state file and run `bursar apply FILE`",
        )
        return
    for each in state.terms:
        if each.retired_us is None and hashlib.sha256(each.text.encode()).hexdigest() != each.text_sha256:
            yield Finding(
                severity="problem",
                code="terms_text_changed",
                what=f"the text of terms {each.version} is not the one whose hash was recorded with it",
                mend="apply the state file with the text that was accepted, and find out who changed the database",
            )
    emails = {each.id: each.email for each in state.people if each.retired_us is None}
    members = {each.person_id for each in state.memberships if each.retired_us is None}
    for email, person_id in sorted((emails[each], each) for each in members if each in emails):
        if state.has_accepted(person_id, terms.version):
            continue
        accept_by = state.terms_of(person_id).accept_by(state.now.date())
        so = "so their calls are refused" if accept_by is None else f"and may call until {accept_by}"
        yield Finding(
            severity="warning",
            code="terms_not_accepted",
            what=f"{email} has not accepted terms {terms.version}, {so}",
            mend=f"ask them to accept, or run `bursar terms record --person {email} "
            f"--version {terms.version} --evidence FILE`",
        )


def _of_rules(state: State) -> Iterator[Finding]:
    known = {each.id for each in ALL_RULES}
    for each in ALL_RULES:
        mode = mode_of(each.id, state.policy)
        if mode is not Mode.ENFORCE:
            yield Finding(
                severity="warning",
                code="rule_not_enforced",
                what=f"rule {each.id} does not refuse (mode {mode})",
                mend=f"run `bursar rule set {each.id} enforce`",
            )
    for proposal in state.proposals:
        if proposal.outcome == OPEN:
            yield Finding(
                severity="warning",
                code="proposal_waiting",
                what=f"proposal {proposal.id} ({proposal.what}) waits for a second administrator",
                mend=f"have another administrator run `bursar proposal confirm {proposal.id}`, or refuse it",
            )
    for stored in state.rule_modes:
        if stored.rule not in known and stored.mode != Mode.ENFORCE:
            yield Finding(
                severity="warning",
                code="rule_unknown",
                what=f"a mode is set for {stored.rule}, which this release does not know: it has no effect",
                mend="look at `bursar rule list`; a rule that changed has a new version and is enforced",
            )


def _of_freezes(state: State) -> Iterator[Finding]:
    for each in shown_freezes(state):
        yield Finding(
            severity="warning",
            code="frozen",
            what=f"{each.kind} {each.name} is frozen since {each.since:%Y-%m-%d %H:%M} UTC: {each.reason}",
            mend=f"once that is settled, run `bursar unfreeze {each.kind} {each.name}`",
        )
