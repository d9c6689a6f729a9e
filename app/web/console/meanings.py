"""What the names that the log has for things mean: types, rules, codes and acts, in words for people."""

from collections.abc import Mapping
from typing import Final

_KINDS: Final[Mapping[str, str]] = {
    "intent": "about to call the platform",
    "outcome": "called the platform",
    "decision": "answered by Bursar",
    "auth": "signing in",
    "admin": "change",
    "audit_read": "read the log",
    "heartbeat": "sign of life",
    "reject_batch": "refused in bulk",
    "epoch": "new epoch",
    "prune": "content pruned",
    "key": "keys of the log",
}
_WHY: Final[Mapping[str, str]] = {
    "access_token_invalid": "What was shown proves nobody: no token, an old one, or one that was revoked.",
    "invalid_client": "The client key and secret do not belong together.",
    "invalid_params": "The request asked for something that cannot be asked for.",
    "scope_not_authorized": "The platform has not approved the credential for this endpoint.",
    "not_permitted": "The role of whoever asked does not cover this.",
    "not_found": "There is no such thing, or none that whoever asked may see.",
    "daily_quota_limit_exceeded": "A limit for the day or longer was used up.",
    "rate_limit_exceeded": "Too many calls within a minute, or at the same time.",
    "audit_unavailable": "The log could not be written, so nothing was done.",
    "store_unavailable": "The database did not answer, so nothing was done.",
    "internal_error": "The platform failed or did not answer.",
    "body_too_large": "More was sent than is read of a request.",
    "method_not_allowed": "The path is there, but does not take that method.",
    "unsupported_media_type": "What was sent is not of a kind that is read here: JSON in UTF-8, or a form of this console.",
    "conflict": "The thing is not in a state that allows this, or is there already.",
    "changed_meanwhile": "Somebody else had changed it since it was looked at, so nothing was changed.",
    "invalid_request": "The request for a token of the platform's kind was malformed.",
    "sign_in_refused": "The institution's sign-in proved nobody who is known here.",
    "sign_in_unavailable": "The institution's identity provider did not answer.",
    "not_held": "Only what is held was wanted, and it is not held.",
    "bad_setting": "A setting of Bursar is wrong, so nothing was done.",
    "not_ready": "The database was not ready, so nothing was done.",
    "log_broken": "The log does not verify, so nothing was done.",
    "audit_rollback_detected": "The log had lost entries, so nothing was done.",
    "seal_broken": "What is sealed could not be opened, so nothing was done.",
    "entry_too_large": "The entry would have been larger than the log takes.",
}
_PLAIN: Final[Mapping[str, str]] = {
    "terms-accepted": "The terms in force have not been accepted.",
    "not-frozen": "An administrator has stopped this credential, project or person.",
    "approval-in-force": "The project's approval does not cover this day.",
    "named-collaborator": "Whoever called is no member of the project on this day.",
    "roster-limit": "More people are on the credential than the platform allows.",
    "endpoint-approved": "The project's approval does not cover this endpoint.",
    "fields-approved": "The project's approval does not cover these fields.",
    "conditions-approved": "The project's approval does not cover these conditions.",
    "dates-approved": "The project's approval does not cover these dates.",
    "date-span": "One question covered more days than the platform allows.",
    "page-size": "More records were asked for than fit on one page.",
    "form-token": "A form was not of the session that sent it.",
    "origin": "A form came from another site.",
}
"""What it means that a rule objected, by the rule's name without its version."""
_NEXT: Final[Mapping[str, str]] = {
    "body_too_large": "Send less at once.",
    "conflict": "Look at the thing as it is now, and then decide again.",
    "changed_meanwhile": "Look at the thing as it is now, and then decide again.",
    "access_token_invalid": "Ask for a new token, or make a new key under My keys.",
    "invalid_client": "Compare them with what you were given, or make a new key under My keys.",
    "invalid_params": "The message of the answer says where; correct it and ask again. Nothing was spent.",
    "scope_not_authorized": "Tell an administrator. Nothing was spent.",
    "daily_quota_limit_exceeded": "Wait until it starts anew, or ask for more.",
    "rate_limit_exceeded": "Wait for the seconds in Retry-After, then go on.",
    "internal_error": "Try again later; the same dates fail for days sometimes, so leave them out or cut them smaller.",
}
_THINGS: Final[Mapping[str, str]] = {
    "terms": "Version of the terms",
    "acceptance": "Acceptance of the terms",
    "member": "Member of a project",
    "identity": "Account of the institution",
    "raise": "Raise of a limit",
    "request": "Request for more",
    "rule": "Mode of a rule",
    "value": "Number of the terms",
    "held": "What was held",
    "log_key": "Key of the log",
    "seal_key": "Key that seals questions",
}
"""What is changed, where its name in the log does not say it."""
_VERBS: Final[Mapping[str, str]] = {
    "set": "changed",
    "retired": "ended",
    "dropped": "removed",
    "unfrozen": "let go on",
}
_ACTS: Final[Mapping[str, str]] = {
    "audit.search": "Log searched",
    "audit.show": "Entry looked at",
    "audit.about": "Calls about somebody looked up",
    "audit.verify": "Log verified",
    "audit.export": "Export begun",
    "audit.exported": "Export ended",
    "audit.receipt": "Receipt fetched",
    "audit.consistency": "Shown that the log only grew",
    "audit.anchor": "Checkpoint kept elsewhere",
    "audit.erase": "What a person asked erased",
    "audit.prune": "Content of old entries pruned",
    "audit.retention": "How long content is kept changed",
    "console/session": "Came without a session",
    "console/sign-in-token": "Signed in with a token",
    "console/sign-in-password": "Signed in with a password",
    "console/sign-in-institution": "Signed in at the institution",
    "console/sign-out": "Signed out",
    "console/password": "Set a password with a code",
    "console/reauthentication-token": "Proved once more who they are, with a token",
    "console/reauthentication-password": "Proved once more who they are, with a password",
    "console/reauthentication-institution": "Proved once more who they are, at the institution",
    "oauth/token": "Fetched a token with a client key and secret",
}


def kind_said(kind: str) -> str:
    """What sort of entry it is, by its type."""
    return _KINDS.get(kind, kind)


def rule_said(rule: str, code: str) -> str:
    """What it means that a rule of Bursar's own objected; empty where the code says more."""
    name = rule.partition("/")[0]
    if name == "request" and code in {"", "invalid_params"}:
        return "The request was malformed."
    return _PLAIN.get(name, "")


def code_said(code: str) -> str:
    """What a code means; of one that is not known, its own words."""
    return _WHY.get(code, code.replace("_", " ").capitalize())


def next_after(code: str) -> str:
    """What its owner can do about it."""
    return _NEXT.get(code, "")


def act_said(op: str) -> str:
    """What was done, by the name that the log has for it; an endpoint keeps its own.

    `person.added` is a person that was added, `console/sign-out` somebody who signed out.
    """
    thing, dot, verb = op.partition(".")
    if op in _ACTS or not dot:
        return _ACTS.get(op, op)
    what = _THINGS.get(thing, thing.replace("_", " ").capitalize())
    return f"{what} {_VERBS.get(verb, verb.replace('_', ' '))}"
