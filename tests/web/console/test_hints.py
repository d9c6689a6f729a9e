"""Words for those at a browser: no commands, no alarm about what does not concern them, nothing that cannot be chosen."""

import pytest

from app.web.console.hints import at_the_console
from tests.web.conftest import House
from tests.web.console.conftest import Opened, signed_in, text_of
from tests.web.hinting import lists_of_the_command_line

pytestmark = pytest.mark.anyio


def test_no_message_sends_people_from_the_console_to_a_list_of_the_command_line() -> None:
    assert [each for each in lists_of_the_command_line() if "`bursar" in at_the_console(each)] == []


async def test_a_form_that_names_a_stranger_says_what_to_do_at_the_console(
    shared_house: House, browser: Opened
) -> None:
    it = await signed_in(browser, shared_house, "it")
    refused = await it.send(
        "/new-project",
        name="tides",
        credential="main",
        reference="R-1",
        **{"from": "2026-01-01", "until": "2036-12-31"},
        members="stranger@example.edu",
        lead="",
        cache_scope="project",
        all_endpoints="yes",
    )
    told = text_of(refused)
    assert refused.status_code in {400, 404}
    assert "stranger@example.edu" in told
    assert "People" in told
    assert "bursar person" not in told


@pytest.mark.parametrize("name", ["it", "dpo", "quota"])
async def test_who_makes_no_calls_is_not_told_that_theirs_are_refused(
    fresh_house: House, browser: Opened, name: str
) -> None:
    page = text_of(await (await signed_in(browser, fresh_house, name)).get("/me"))
    assert "Your calls are refused" not in page
    assert "Accept" not in page


async def test_whoever_is_in_no_project_is_told_who_adds_them(fresh_house: House, browser: Opened) -> None:
    page = text_of(await (await signed_in(browser, fresh_house, "quota")).get("/me"))
    assert "An administrator adds you to one." in page


async def test_a_rule_that_is_always_enforced_offers_no_choice(fresh_house: House, browser: Opened) -> None:
    it = await signed_in(browser, fresh_house, "it")
    page = (await it.get("/rules")).text
    assert 'aria-label="date-span/1"' in page
    assert 'aria-label="not-frozen/1"' not in page
    assert "enforce always" in text_of(await it.get("/rules"))
