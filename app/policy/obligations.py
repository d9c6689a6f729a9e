"""R1 to R35, the duties that the platform's terms, form and documentation put on those who use the tools.

For each: which rule enforces it, which record of the log is evidence of it, and what is left to people, and
why. `python -m app.policy.obligations` prints the tables of docs/rules.md, which a test compares. The numbers
are those of this project's own list; the sources stand in each row.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.policy.program import PROGRAM_RULES
from app.policy.rules import ALL_RULES
from app.policy.values import VALUES

HIGH, MEDIUM, GENERAL, UNFOUND = "read", "quoted", "general knowledge", "not found"
"""How sure: the text was read; it is quoted alike by independent sources; known, not read; in no source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """One duty. `records` are types of entries, or operations of `admin` entries; `people` says why."""

    id: str
    what: str
    sure: str
    rules: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    people: str = ""


OBLIGATIONS: Final[Sequence[Obligation]] = (
    Obligation(
        id="R1",
        what="Refresh stored data at least every 15 or 30 days (value `refresh_interval_days`).",
        sure=f"{MEDIUM}, sources disagree",
        rules=("refresh-interval/1",),
        records=("held.deleted", "value.set"),
        people="Copies that researchers have taken are out of Bursar's reach.",
    ),
    Obligation(
        id="R2",
        what="Delete at the refresh what the tools no longer give.",
        sure=MEDIUM,
        rules=("refresh-interval/1",),
        records=("held.deleted", "outcome"),
        people="A video that a look-up by id does not find, or an account that is refused, is let go of on every held "
        "page at once. Copies are compared by whoever has them, with the endpoints for batch compliance.",
    ),
    Obligation(
        id="R3",
        what="Keep data no longer than the approved research needs.",
        sure=MEDIUM,
        rules=("nothing-after-end/1", "approval-in-force/1"),
        records=("held.deleted", "project.set"),
        people="Copies, again.",
    ),
    Obligation(
        id="R4",
        what="Certify deletion in writing when the platform asks.",
        sure=MEDIUM,
        records=("held.deleted", "project.set", "project.retired"),
        people="A certificate covers copies as well, of which only people know; the entries are its evidence.",
    ),
    Obligation(
        id="R5",
        what="Use only for the approved topic and project.",
        sure=MEDIUM,
        rules=("endpoint-approved/1", "fields-approved/1", "conditions-approved/1", "dates-approved/1"),
        records=("intent", "decision"),
        people="Whether a question serves the topic is for people to judge: two questions may differ in a word.",
    ),
    Obligation(
        id="R6",
        what="No commercial use; independence; funding disclosed.",
        sure=HIGH,
        people="Nothing in a call shows what it is for or who pays.",
    ),
    Obligation(
        id="R7",
        what="Principal and at most nine collaborators, each reviewed; leavers are removed.",
        sure=HIGH,
        rules=("roster-limit/1", "named-collaborator/1"),
        records=(
            *("member.added", "member.set", "member.retired", "credential.set", "key.revoked"),
            *("proposal.proposed", "proposal.confirmed"),
        ),
        people="The platform's review, and each person's account there, are not visible from here.",
    ),
    Obligation(
        id="R8",
        what="Collaborators of another institution apply themselves.",
        sure=HIGH,
        records=("member.added",),
        people="Bursar knows addresses, and an address is no employment.",
    ),
    Obligation(
        id="R9",
        what="Raw data is not shared with third parties.",
        sure=f"{MEDIUM}, form {HIGH}",
        rules=("identify/1", "named-collaborator/1"),
        records=("outcome", "decision"),
        people="Each delivery is logged with its person and the digest of what was delivered; what they do with "
        "it afterwards is not seen.",
    ),
    Obligation(
        id="R10",
        what="The client secret is shown to nobody.",
        sure=HIGH,
        records=("credential.added", "credential.set"),
        people="By construction: it is sealed and pinned to one host, and nothing prints it. Who can read the "
        "file that it comes from is the administrator's care.",
    ),
    Obligation(
        id="R11",
        what="One identity; no second account or other way round limits.",
        sure=f"{HIGH} for the site, {MEDIUM} for research",
        rules=("quota/1", "platform-quota/1", "roster-limit/1", "two-person/1"),
        records=("intent", "outcome", "limit.set", "proposal.confirmed"),
        people="By construction a project has one credential, and quota is never pooled. Who else applies in "
        "the institution is not known here.",
    ),
    Obligation(
        id="R12",
        what="No scraping or other collection outside the official tools.",
        sure=MEDIUM,
        rules=("request/1", "endpoint-approved/1"),
        records=("intent",),
        people="By construction only documented endpoints can be named. Other programs are not watched.",
    ),
    Obligation(
        id="R13",
        what="Outputs cannot be linked to an individual user.",
        sure=MEDIUM,
        people="Outputs are made after the data has left Bursar.",
    ),
    Obligation(
        id="R14",
        what="No re-identification, profiling or surveillance of individuals.",
        sure=f"{MEDIUM} to {HIGH}",
        rules=("fields-approved/1", "conditions-approved/1"),
        records=("intent", "decision"),
        people="Approvals can leave out fields and bind conditions; the intention behind a question about one "
        "person is for people to ask.",
    ),
    Obligation(
        id="R15",
        what="Security: roles, few people, internal audits, high safeguards.",
        sure=MEDIUM,
        rules=("identify/1", "roles/1", "sight/1", "two-person/1"),
        records=("auth", "admin", "audit_read"),
        people="The attestation, a second factor at sign-in and reviews of who still needs access are the "
        "institution's.",
    ),
    Obligation(
        id="R16",
        what="Report a compromise at once, and disconnect.",
        sure=f"{HIGH} for developers, {MEDIUM} for research",
        rules=("not-frozen/1",),
        records=("project.frozen", "credential.frozen", "person.frozen", "key.revoked", "auth"),
        people="Stopping a credential, a project or a person, and revoking a key, count for the next call; whom "
        "to tell, and when, is decided by people.",
    ),
    Obligation(
        id="R17",
        what="The platform may audit; proof of compliance is provided.",
        sure=f"{MEDIUM} to {HIGH}",
        records=("intent", "outcome", "decision", "auth", "admin", "audit_read"),
        people="What is handed over is chosen by people, since the log names who did what.",
    ),
    Obligation(
        id="R18",
        what="The platform gets a copy before publication (value `publication_notice_days`).",
        sure=f"{MEDIUM}, sources disagree",
        records=("value.set",),
        people="Bursar knows of no manuscript; the value says how long before, and `bursar rule list` shows it.",
    ),
    Obligation(
        id="R19",
        what="The platform may use the researcher's name and research.",
        sure=MEDIUM,
        rules=("terms-accepted/2",),
        records=("acceptance.accepted", "acceptance.recorded"),
        people="Agreeing to it is each person's decision; the log keeps which text they accepted.",
    ),
    Obligation(
        id="R20",
        what="Only creators of 18 and older, through the API.",
        sure=HIGH,
        rules=("endpoint-approved/1",),
        records=("outcome",),
        people="The platform leaves minors out; a report that somebody is one after all comes to people.",
    ),
    Obligation(
        id="R21",
        what="Access for the period applied for, at most two years (value `access_period_years`).",
        sure=MEDIUM,
        rules=("approval-in-force/1",),
        records=("project.added", "project.set"),
        people="`bursar doctor` warns of a longer approval and before one ends; a renewal is applied for by people.",
    ),
    Obligation(
        id="R22",
        what="On termination stop, and delete everything.",
        sure=f"{HIGH} for developers, {MEDIUM} for research",
        rules=("approval-in-force/1", "nothing-after-end/1", "identify/1"),
        records=("project.retired", "credential.retired", "held.deleted"),
        people="Copies, again.",
    ),
    Obligation(
        id="R23",
        what="Tell the platform about risks of non-compliance.",
        sure=MEDIUM,
        records=("rule.set",),
        people="A risk is recognised by people; rules that were not enforced, and since when, are in the log.",
    ),
    Obligation(
        id="R24",
        what="Tell the platform about authorities that request the data.",
        sure=HIGH,
        people="Such requests reach people, not programs.",
    ),
    Obligation(
        id="R25",
        what="Whoever has access is bound to confidentiality.",
        sure=HIGH,
        people="The undertaking is signed on paper or in the institution's own system.",
    ),
    Obligation(
        id="R26",
        what="Each party is an independent controller in the EEA and the UK.",
        sure=f"{HIGH} for developers, unverified for research",
        people="The record of processing, its legal basis and transfers are the data protection officer's.",
    ),
    Obligation(
        id="R27",
        what="Each controller answers requests of data subjects itself.",
        sure=HIGH,
        records=("held.deleted", "held.purged"),
        people="What is held is sealed and gone after the refresh interval, or with `bursar cache purge --author`; "
        "finding a person in copies is for whoever has them.",
    ),
    Obligation(
        id="R28",
        what="Export control.",
        sure=HIGH,
        people="Where somebody works and what they are a citizen of is not recorded here.",
    ),
    Obligation(
        id="R29",
        what="Approval of an ethics board, or its exemption.",
        sure=HIGH,
        people="Part of the application; its end is not the approval's.",
    ),
    Obligation(
        id="R30",
        what="Follow terms and documentation as they change.",
        sure=HIGH,
        rules=("terms-accepted/2",),
        records=("terms.added", "acceptance.accepted", "acceptance.recorded"),
        people="That there is a new version is noticed, and its text added, by people.",
    ),
    Obligation(
        id="R31",
        what="Results are public and free in reasonable time.",
        sure=f"{GENERAL} to {HIGH}",
        people="Bursar knows of no result.",
    ),
    Obligation(
        id="R32",
        what="Cite the tools as the source.",
        sure=f"{UNFOUND}; good practice",
        people="Citing happens in the publication.",
    ),
    Obligation(
        id="R33",
        what="Indemnity and arbitration.",
        sure=MEDIUM,
        people="For the legal office, before anybody accepts.",
    ),
    Obligation(
        id="R34",
        what="Suggest no affiliation or endorsement.",
        sure=HIGH,
        people="What is said of a project is said elsewhere.",
    ),
    Obligation(
        id="R35",
        what="Minimise: ask only for data that is needed.",
        sure=HIGH,
        rules=("fields-approved/1", "dates-approved/1", "date-span/1", "page-size/1"),
        records=("intent", "decision"),
        people="The proposal says what is needed, and whoever writes the state file carries it over.",
    ),
)


def obligations_table() -> str:
    """R1 to R35 as a Markdown table."""
    rows = [
        "| | obligation | how sure | enforced by | evidenced by | left to people, and why |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| {each.id} | {each.what} | {each.sure} | {_named(each.rules)} | {_named(each.records)} | {each.people} |"
        for each in OBLIGATIONS
    ]
    return "\n".join(rows)


def rules_table() -> str:
    """Every rule that has a mode, as a Markdown table."""
    rows = ["| rule | clause | source, date |", "| --- | --- | --- |"]
    rows += [f"| `{each.id}` | {each.clause} | {each.source} ({each.dated}) |" for each in ALL_RULES]
    return "\n".join(rows)


def program_table() -> str:
    """What the program itself decides, as a Markdown table."""
    rows = ["| rule | what it decides |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{rule}` | {what} |" for rule, what in PROGRAM_RULES.items())])


def values_table() -> str:
    """Every dated value with what the sources say, as a Markdown table."""
    rows = ["| value | default | what | what the sources say |", "| --- | --- | --- | --- |"]
    for each in VALUES.values():
        said = "; ".join(f"{one.amount} since {one.from_day} ({one.source})" for one in each.sources)
        rows.append(f"| `{each.name}` ({each.obligation}) | {each.default} | {each.what} | {said} |")
    return "\n".join(rows)


TABLES: Final = {
    "rules": rules_table,
    "values": values_table,
    "obligations": obligations_table,
    "program": program_table,
}
"""The tables of docs/rules.md by their names there."""


def _named(ids: Sequence[str]) -> str:
    return ", ".join(f"`{each}`" for each in ids)


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(table() for table in TABLES.values()) + "\n")
