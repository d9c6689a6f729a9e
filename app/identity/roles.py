"""What each role may do: one table, and whatever it does not say is refused."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a person is to the institution; a person may be several."""

    RESEARCHER = "researcher"
    LEAD = "lead"
    QUOTA_ADMIN = "quota_admin"
    ADMIN = "admin"
    COMPLIANCE = "compliance"


class Act(StrEnum):
    """What a person may want to do outside the research endpoints."""

    SEE_SELF = "see_self"
    ACCEPT_TERMS = "accept_terms"
    MANAGE_OWN_KEYS = "manage_own_keys"
    SEE_OWN_PROJECTS = "see_own_projects"
    SEE_ALL = "see_all"
    ASK_FOR_MORE = "ask_for_more"
    """Asking for more of one's own limits, or of those of a project that one leads."""
    SET_LIMITS = "set_limits"
    MANAGE_DIRECTORY = "manage_directory"
    """People, projects, terms and credentials."""
    MANAGE_RULES = "manage_rules"
    """Modes of the terms' rules, and stated values."""
    FREEZE = "freeze"
    """Stopping a credential, a project or a person, and letting them go on."""
    SEE_FREEZES = "see_freezes"
    DECIDE_PROPOSALS = "decide_proposals"
    """Confirm, as a second person, what raises a credential's limit or roster."""
    MANAGE_KEYS = "manage_keys"
    """Keys and tokens of other people."""
    RECORD_ACCEPTANCE = "record_acceptance"
    READ_LOG = "read_log"
    VERIFY_LOG = "verify_log"
    EXPORT_LOG = "export_log"
    KEEP_LOG = "keep_log"
    """Propose, or confirm as a second person, that something of the log is erased or pruned."""
    PURGE_HELD = "purge_held"


_EVERYONE = frozenset(Role)
_MAY: Mapping[Act, frozenset[Role]] = MappingProxyType(
    {
        Act.SEE_SELF: _EVERYONE,
        Act.ACCEPT_TERMS: _EVERYONE,
        Act.MANAGE_OWN_KEYS: frozenset({Role.RESEARCHER, Role.LEAD}),
        Act.SEE_OWN_PROJECTS: _EVERYONE,
        Act.SEE_ALL: frozenset({Role.QUOTA_ADMIN, Role.ADMIN, Role.COMPLIANCE}),
        Act.ASK_FOR_MORE: frozenset({Role.RESEARCHER, Role.LEAD}),
        # Whoever checks the books must not write them: compliance is in no row that changes a quota.
        Act.SET_LIMITS: frozenset({Role.QUOTA_ADMIN, Role.ADMIN}),
        Act.MANAGE_DIRECTORY: frozenset({Role.ADMIN}),
        Act.MANAGE_RULES: frozenset({Role.ADMIN}),
        Act.FREEZE: frozenset({Role.ADMIN}),
        Act.SEE_FREEZES: frozenset({Role.ADMIN, Role.COMPLIANCE}),
        Act.DECIDE_PROPOSALS: frozenset({Role.ADMIN}),
        Act.MANAGE_KEYS: frozenset({Role.ADMIN}),
        Act.RECORD_ACCEPTANCE: frozenset({Role.ADMIN, Role.COMPLIANCE}),
        Act.READ_LOG: frozenset({Role.COMPLIANCE}),
        Act.VERIFY_LOG: frozenset({Role.COMPLIANCE, Role.ADMIN}),
        Act.EXPORT_LOG: frozenset({Role.COMPLIANCE}),
        Act.KEEP_LOG: frozenset({Role.ADMIN, Role.COMPLIANCE}),
        Act.PURGE_HELD: frozenset({Role.ADMIN, Role.COMPLIANCE}),
    }
)


def may(roles: Collection[str], act: Act) -> bool:
    """Whether any of these roles covers the act; roles that do not exist cover nothing."""
    return any(role in _MAY.get(act, frozenset()) for role in roles)
