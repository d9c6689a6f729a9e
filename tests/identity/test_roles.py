import pytest

from app.identity.roles import Act, Role, may


@pytest.mark.parametrize("act", list(Act))
def test_nobody_may_anything_without_a_role_or_with_one_that_does_not_exist(act: Act) -> None:
    assert not may((), act)
    assert not may(("king", "ADMIN", "root"), act)


@pytest.mark.parametrize("role", list(Role))
def test_everybody_sees_themselves_and_accepts_terms(role: Role) -> None:
    assert may({role}, Act.SEE_SELF)
    assert may({role}, Act.ACCEPT_TERMS)


def test_compliance_reads_the_log_and_changes_no_quota() -> None:
    assert may({"compliance"}, Act.READ_LOG)
    assert may({"compliance"}, Act.EXPORT_LOG)
    for act in (
        Act.SET_LIMITS,
        Act.MANAGE_DIRECTORY,
        Act.MANAGE_RULES,
        Act.MANAGE_KEYS,
        Act.DECIDE_PROPOSALS,
    ):
        assert not may({"compliance"}, act)


def test_only_administrators_manage_people_their_keys_and_rules_and_decide_what_waits() -> None:
    for act in (Act.MANAGE_DIRECTORY, Act.MANAGE_KEYS, Act.MANAGE_RULES, Act.DECIDE_PROPOSALS):
        assert [role for role in Role if may({role}, act)] == [Role.ADMIN]


def test_several_roles_add_up() -> None:
    assert may({"researcher", "quota_admin"}, Act.SET_LIMITS)
    assert may({"researcher", "quota_admin"}, Act.MANAGE_OWN_KEYS)
