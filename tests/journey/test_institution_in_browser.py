"""A researcher signs in at the institution in Chromium, and begins to work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.journey.chromium import CHROMIUM, Visitor, opened_chromium
from tests.servers.bursar import Installation, call
from tests.servers.provider import CLIENT_ID, CLIENT_SECRET, RunningProvider

_TERMS = [
    {"version": "2026-02", "title": "Terms of 2026", "text_file": "terms.md", "in_force_from": "2026-02-01"}
]


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Installation]:
    """Bursar and the institution's provider, each a process of its own."""
    require(bool(CHROMIUM), "Chromium")
    secret = tmp_path / "client-secret"
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o400)
    (tmp_path / "terms.md").write_text("# Terms\n\nBe good.\n")
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'bursar.db'}"
    with RunningProvider() as provider, Installation(tmp_path, database_url=url) as opened:
        opened.apply(terms=_TERMS)
        opened.environ |= {
            "BURSAR_PUBLIC_URL": opened.base_url,
            "BURSAR_OIDC_ISSUER": provider.issuer,
            "BURSAR_OIDC_CLIENT_ID": CLIENT_ID,
            "BURSAR_OIDC_CLIENT_SECRET_FILE": str(secret),
        }
        opened.start()
        yield opened


def test_a_researcher_signs_in_at_the_institution_accepts_the_terms_and_makes_a_key(
    campus: Installation,
) -> None:
    with opened_chromium() as browser:
        ben = Visitor(campus.base_url, browser.new_context(viewport={"width": 360, "height": 800}))
        page = ben.page
        page.goto(f"{ben.home}/my-terms")
        page.get_by_role("link", name="Sign in at your institution").click()
        page.get_by_label("Account").fill("ben")
        page.get_by_role("button", name="Continue").click()
        # Back where they wanted to go.
        page.wait_for_url(f"{ben.home}/my-terms")
        page.get_by_label("I have read these terms and accept them.").check()
        page.get_by_role("button", name="Accept version 2026-02").click()
        page.get_by_text("your acceptance is recorded").wait_for()
        page.get_by_role("link", name="My keys").click()
        page.get_by_role("button", name="Make a key").click()
        headers = {
            "Authorization": f"Bearer {page.locator('#api-key').inner_text()}",
            "Content-Type": "application/json",
        }
        path, body = "/v2/research/user/info/?fields=display_name", b'{"username":"sim_user_1"}'
        status, _, answer = call(campus.port, "POST", path, body=body, headers=headers)
        assert status == 200, answer
        # The first page was refused, as the browser says too; nothing else was amiss.
        assert [each for each in ben.complaints if "401" not in each] == []
        page.get_by_role("button", name="Sign out").click()
        page.get_by_text("You are signed out.").wait_for()
        names = {cookie.get("name") for cookie in ben.context.cookies(campus.base_url)}
        assert names & {"bursar", "bursar-sign-in"} == set()
        ben.context.close()
    assert campus.bursar("audit", "verify")["verified"] is True
