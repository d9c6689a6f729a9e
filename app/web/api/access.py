"""Who may ask what: one row a route, and a route without a row is refused when the program starts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from app.identity.roles import Act, may
from app.query import DEFAULT_LIMITS, BodyLimits

SMALL_BODY: Final = BodyLimits(max_bytes=16_384, max_depth=8, max_nodes=200)
_PROJECT_BODY: Final = BodyLimits(max_bytes=65_536, max_depth=8, max_nodes=2_000)
"""An approval may name hundreds of fields and conditions."""

_RECEIPT_BODY: Final = BodyLimits(max_bytes=262_144, max_depth=8, max_nodes=200)
"""A receipt holds its entry, as JSON does three times over, and escapes what it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Any of these acts opens the route; `with_key` lets the API key of a project in as well.

    `body` is how large and how deep a request's body may be.

    What an answer then holds is for `sight` to say: most routes show everyone their own part.
    """

    acts: frozenset[Act]
    with_key: bool = False
    body: BodyLimits = SMALL_BODY

    def is_open_to(self, roles: Collection[str]) -> bool:
        """Whether one of these roles covers one of the acts."""
        return any(may(roles, act) for act in self.acts)


_SELF: Final = Access(acts=frozenset({Act.SEE_SELF}))
_WITH_KEY: Final = Access(acts=frozenset({Act.SEE_SELF}), with_key=True)
_OWN_PART: Final = Access(acts=frozenset({Act.SEE_OWN_PROJECTS}))
_ALL: Final = Access(acts=frozenset({Act.SEE_ALL}))
_DIRECTORY: Final = Access(acts=frozenset({Act.MANAGE_DIRECTORY}))
_SET_LIMITS: Final = Access(acts=frozenset({Act.SET_LIMITS}))
_VERIFY: Final = Access(acts=frozenset({Act.VERIFY_LOG}))
_KEYS: Final = Access(acts=frozenset({Act.MANAGE_OWN_KEYS, Act.MANAGE_KEYS}))
_DECIDE: Final = Access(acts=frozenset({Act.DECIDE_PROPOSALS, Act.KEEP_LOG}))
"""Which of the two it takes depends on what is proposed."""
_KEEP: Final = Access(acts=frozenset({Act.KEEP_LOG}))
READ_LOG: Final = frozenset({Act.READ_LOG})
LOG_ACTS: Final = frozenset({Act.READ_LOG, Act.VERIFY_LOG})
"""What says how the log stands, and counts what it holds, without an entry of anybody."""

ACCESS: Final[Mapping[str, Access]] = MappingProxyType(
    {
        "get_me": _WITH_KEY,
        "list_my_terms": _WITH_KEY,
        "accept_my_terms": Access(acts=frozenset({Act.ACCEPT_TERMS}), with_key=True),
        "list_my_calls": Access(acts=frozenset({Act.MANAGE_OWN_KEYS})),
        "get_my_notices": _SELF,
        "choose_my_notices": _SELF,
        "list_terms": _SELF,
        "get_terms": _SELF,
        "get_usage": _OWN_PART,
        # It holds a body of the platform's, so it may be as large as one.
        "estimate": Access(acts=frozenset({Act.SEE_OWN_PROJECTS}), with_key=True, body=DEFAULT_LIMITS),
        "list_people": _OWN_PART,
        "add_person": _DIRECTORY,
        "get_person": _OWN_PART,
        "change_person": _DIRECTORY,
        "retire_person": _DIRECTORY,
        "list_acceptances": _OWN_PART,
        "record_terms": Access(acts=frozenset({Act.RECORD_ACCEPTANCE})),
        "issue_code": Access(acts=frozenset({Act.MANAGE_KEYS})),
        "list_person_tokens": _ALL,
        "issue_person_token": Access(acts=frozenset({Act.MANAGE_KEYS})),
        "revoke_person_token": Access(acts=frozenset({Act.MANAGE_KEYS})),
        "list_my_tokens": _SELF,
        "revoke_my_token": _SELF,
        "list_identities": Access(acts=frozenset({Act.MANAGE_KEYS})),
        "link_account": Access(acts=frozenset({Act.MANAGE_KEYS})),
        "unlink_accounts": Access(acts=frozenset({Act.MANAGE_KEYS})),
        "list_projects": _OWN_PART,
        "add_project": Access(acts=frozenset({Act.MANAGE_DIRECTORY}), body=_PROJECT_BODY),
        "get_project": _OWN_PART,
        "change_project": Access(acts=frozenset({Act.MANAGE_DIRECTORY}), body=_PROJECT_BODY),
        "retire_project": _DIRECTORY,
        "list_members": _OWN_PART,
        "get_member": _OWN_PART,
        "set_member": _DIRECTORY,
        "end_membership": _DIRECTORY,
        "list_credentials": _ALL,
        "get_credential": _ALL,
        "add_credential": _DIRECTORY,
        "change_credential": _DIRECTORY,
        "rotate_secret": _DIRECTORY,
        "verify_credential": _DIRECTORY,
        "retire_credential": _DIRECTORY,
        # They hold a whole text.
        "add_terms": Access(acts=frozenset({Act.MANAGE_DIRECTORY}), body=DEFAULT_LIMITS),
        "change_terms": Access(acts=frozenset({Act.MANAGE_DIRECTORY}), body=DEFAULT_LIMITS),
        "withdraw_terms": _DIRECTORY,
        "list_limits": _OWN_PART,
        "list_limit_changes": _ALL,
        "set_limit": _SET_LIMITS,
        "list_raises": _ALL,
        "get_raise": _ALL,
        "add_raise": _SET_LIMITS,
        "end_raise": _SET_LIMITS,
        "list_proposals": _ALL,
        "get_proposal": _ALL,
        "confirm_proposal": _DECIDE,
        "confirm_proposals": _DECIDE,
        "refuse_proposal": _DECIDE,
        "list_rules": _SELF,
        "get_rule": _SELF,
        "state_value": Access(acts=frozenset({Act.MANAGE_RULES})),
        "set_rule": Access(acts=frozenset({Act.MANAGE_RULES})),
        "get_project_reuse": _OWN_PART,
        "set_project_reuse": Access(acts=frozenset({Act.MANAGE_DIRECTORY})),
        "list_keys": _OWN_PART,
        "get_key": _OWN_PART,
        "issue_key": _KEYS,
        "rotate_key": _KEYS,
        "revoke_key": _KEYS,
        "list_my_requests": _WITH_KEY,
        "get_my_request": _WITH_KEY,
        "ask_for_more": Access(acts=frozenset({Act.ASK_FOR_MORE}), with_key=True),
        "withdraw_request": Access(acts=frozenset({Act.ASK_FOR_MORE}), with_key=True),
        "list_requests": _ALL,
        "get_request": _ALL,
        "grant_request": _SET_LIMITS,
        "refuse_request": _SET_LIMITS,
        "list_freezes": Access(acts=frozenset({Act.SEE_FREEZES})),
        "freeze": Access(acts=frozenset({Act.FREEZE})),
        "unfreeze": Access(acts=frozenset({Act.FREEZE})),
        "get_cache": Access(acts=frozenset({Act.PURGE_HELD})),
        "purge_cache": Access(acts=frozenset({Act.PURGE_HELD})),
        "list_entries": Access(acts=READ_LOG),
        "get_entry": _SELF,
        "open_question": Access(acts=READ_LOG),
        "export_log": Access(acts=frozenset({Act.EXPORT_LOG})),
        "get_verification": _VERIFY,
        "start_verification": _VERIFY,
        "list_searches": Access(acts=READ_LOG),
        "save_search": Access(acts=READ_LOG),
        "forget_search": Access(acts=READ_LOG),
        "get_receipt": _WITH_KEY,
        "get_proof": _WITH_KEY,
        "check_presented_receipt": Access(acts=frozenset({Act.VERIFY_LOG}), body=_RECEIPT_BODY),
        "get_checkpoint": _WITH_KEY,
        "get_consistency": _WITH_KEY,
        "get_log_key": _WITH_KEY,
        "ask_for_erasure": _KEEP,
        "ask_for_pruning": _KEEP,
        "get_retention": _KEEP,
        "ask_for_retention": _KEEP,
        "get_compliance": Access(acts=LOG_ACTS),
        "get_report": Access(acts=LOG_ACTS),
    }
)
"""By the name of the route's function."""
