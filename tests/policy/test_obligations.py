"""docs/rules.md says what the code does: every obligation, every rule, every record."""

import ast
import re
from pathlib import Path

import pytest

from app.administration.changes import _WHOLE as WHOLE
from app.policy.obligations import OBLIGATIONS, TABLES
from app.policy.program import PROGRAM_RULES
from app.policy.rules import ALL_RULES, RULES
from app.policy.values import VALUES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rules.md").read_text()
ENTRY_TYPES = {"intent", "outcome", "decision", "auth", "admin", "audit_read"}


def parsed() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted((ROOT / "app").rglob("*.py"))]


def literals(keyword: str) -> set[str]:
    """Every text that the program hands over under that keyword."""
    return {
        each.value.value
        for module in parsed()
        for each in ast.walk(module)
        if isinstance(each, ast.keyword) and each.arg == keyword
        if isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
    }


def named_rules() -> set[str]:
    """Every text that the program keeps under the name RULE."""
    return {
        ast.literal_eval(each.value)
        for module in parsed()
        for each in module.body
        if isinstance(each, ast.Assign | ast.AnnAssign) and each.value is not None
        if any(
            isinstance(target, ast.Name) and target.id == "RULE"
            for target in (each.targets if isinstance(each, ast.Assign) else [each.target])
        )
    }


def first_arguments(*functions: str) -> set[str]:
    """Every text that is the first argument of a call of these functions."""
    return {
        each.args[0].value
        for module in parsed()
        for each in ast.walk(module)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id in functions
        if each.args and isinstance(each.args[0], ast.Constant) and isinstance(each.args[0].value, str)
    }


@pytest.mark.parametrize("name", TABLES)
def test_the_pages_tables_are_those_of_the_code(name: str) -> None:
    found = re.search(rf"<!-- {name}: [^>]*-->\n(.*?)<!-- end of {name} -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1].strip() == TABLES[name]()


def test_every_obligation_from_1_to_35_is_there_once_and_in_order() -> None:
    assert [each.id for each in OBLIGATIONS] == [f"R{number}" for number in range(1, 36)]


def test_what_no_rule_enforces_says_why_it_is_left_to_people() -> None:
    assert [each.id for each in OBLIGATIONS if not each.rules and not each.people] == []
    assert [each.id for each in OBLIGATIONS if not (each.what and each.sure)] == []


def test_an_obligation_names_rules_that_the_program_has() -> None:
    known = {rule.id for rule in ALL_RULES} | set(PROGRAM_RULES)
    assert {rule for each in OBLIGATIONS for rule in each.rules} <= known


def test_every_rule_of_the_terms_serves_an_obligation() -> None:
    assert {rule.id for rule in ALL_RULES} <= {rule for each in OBLIGATIONS for rule in each.rules}


def test_an_obligation_names_records_that_the_program_writes() -> None:
    kinds = literals("kind") | first_arguments("differences", "retirement")
    verbs = {*WHOLE, "set"}
    sweeps = {"held.deleted", "held.purged"}
    for record in {record for each in OBLIGATIONS for record in each.records} - ENTRY_TYPES - sweeps:
        kind, _, verb = record.partition(".")
        assert (kind in kinds, verb in verbs) == (True, True), record
    office = ROOT / "app" / "administration"
    written = {
        text for name in ("retention", "purging") for text in (office / f"{name}.py").read_text().split('"')
    }
    assert sweeps <= written
    assert literals("type") | first_arguments("_with_question") >= ENTRY_TYPES


def test_every_rule_that_code_refuses_under_is_told_on_the_page() -> None:
    used = {name for name in literals("rule") if name and "/" not in name}
    used |= named_rules() | {"identify", "api"}
    assert {f"{name}/1" for name in used} <= set(PROGRAM_RULES)


def test_values_name_the_obligation_that_names_them() -> None:
    told = {each.id: each.what for each in OBLIGATIONS}
    for value in VALUES.values():
        assert value.obligation in told
    named = {name for name in VALUES if any(f"`{name}`" in what for what in told.values())}
    assert named == set(VALUES) - {"roster_people"}


def test_the_last_rule_is_the_one_that_the_page_says_allows() -> None:
    assert f"`{RULES[-1].id.partition('/')[0]}`, has to agree" in PAGE
