"""Notices from a running gateway to a web server and a mail server: what happens is told, once, to whom it concerns."""

import base64
import hmac
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.bursar import VIDEO_QUERY, Installation, call, state, video_query
from tests.servers.receivers import Hooks, Mailbox, Post, until

SECRET = base64.b64encode(bytes(range(32))).decode()
DESK = [
    {"email": "quota@example.edu", "name": "Quota desk", "roles": ["quota_admin"]},
    {"email": "dpo@example.edu", "name": "Data protection", "roles": ["compliance"]},
]


@dataclass
class House:
    """A gateway whose notices go to a web server and a mail server of the test's own."""

    installation: Installation
    hooks: Hooks
    mailbox: Mailbox
    key: dict[str, str]

    def ask(self, number: int = 0, **changes: Any) -> tuple[int, dict[str, Any]]:
        """One call that costs one request, and what came."""
        body = video_query(
            start_date="20261001", end_date=f"202610{1 + number % 20:02d}", max_count=2, **changes
        )
        headers = {"Authorization": f"Bearer {self.key['api_key']}", "Content-Type": "application/json"}
        status, _, content = call(self.installation.port, "POST", VIDEO_QUERY, body=body, headers=headers)
        return status, json.loads(content)

    def use_up(self) -> None:
        """Call until the member's limit has no room."""
        number = 0
        while self.ask(number)[0] == 200:
            number += 1
            assert number < 12

    def posts(self, event: str) -> list[Post]:
        """What was posted about one kind of event."""
        return [each for each in self.hooks.posts if each.json()["type"] == event]

    def mails(self, about: str) -> dict[str, int]:
        """How many mails whose subject says so each recipient got."""
        return dict(Counter(to for to, mail in self.mailbox.mails if about in mail["Subject"]))

    def metrics(self) -> str:
        return call(self.installation.port, "GET", "/metrics")[2].decode()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house")
    secret = home / "webhook-secret"
    secret.write_text(f"whsec_{SECRET}\n")
    secret.chmod(0o400)
    with Hooks() as hooks, Mailbox() as mailbox:
        settings = {
            "BURSAR_WEBHOOK_URL": hooks.url,
            "BURSAR_WEBHOOK_SECRET_FILE": str(secret),
            "BURSAR_SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}",
            "BURSAR_MAIL_FROM": "bursar@example.edu",
        }
        url = f"sqlite+aiosqlite:///{home / 'data' / 'bursar.db'}"
        with Installation(home, database_url=url, settings=settings) as installation:
            people = [*state("", limits={})["people"], *DESK]
            projects = state("", limits={"requests/day": 1_000, "records/day": 100_000})["projects"]
            projects[0]["member_limits"] = {"requests/day": 10}
            installation.apply(people=people, projects=projects)
            installation.start()
            yield House(installation, hooks, mailbox, installation.key())


def test_each_threshold_of_a_member_is_told_once_by_every_channel(house: House) -> None:
    house.use_up()
    until(lambda: len(house.posts("quota.threshold")) == 3)
    concerned = ("ada@example.edu", "admin@localhost", "quota@example.edu")
    until(lambda: house.mails("requests a day used") == dict.fromkeys(concerned, 3))
    posts = house.posts("quota.threshold")
    assert [each.json()["data"]["percent"] for each in posts] == [50, 80, 100]
    assert {each.json()["data"]["scope"]["kind"] for each in posts} == {"member"}
    for post in posts:
        signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
        digest = hmac.digest(base64.b64decode(SECRET), signed, "sha256")
        assert post.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        assert b"@" not in post.body


def test_a_request_for_more_goes_to_the_desk_and_its_end_back_to_whoever_asked(house: House) -> None:
    bearer = {"Authorization": f"Bearer {house.key['api_key']}", "Content-Type": "application/json"}
    until_day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 5 * 86_400))
    wanted = {"limit": "requests/day", "amount": 20, "until": until_day, "reason": "the election"}
    status, _, body = call(
        house.installation.port,
        "POST",
        "/api/v1/me/requests",
        body=json.dumps(wanted).encode(),
        headers=bearer,
    )
    assert status == 201, body
    house.use_up()
    listed = house.installation.bursar("request", "list")["requests"]
    assert [(each["asked_by"], each["reason"]) for each in listed] == [("ada@example.edu", "the election")]
    granted = house.installation.bursar("request", "grant", listed[0]["id"])
    assert granted["state"] == "granted"
    assert house.ask(12)[0] == 200
    until(lambda: len(house.posts("request.decided")) == 1)
    until(lambda: house.mails("Request granted") == {"ada@example.edu": 1})
    assert len(house.posts("request.made")) == 1
    until(lambda: house.mails("asks for 20 more") == {"admin@localhost": 1, "quota@example.edu": 1})


def test_a_freeze_is_told_to_administrators_and_compliance(house: House) -> None:
    house.installation.bursar("freeze", "person", "ben@example.edu", "--reason", "key found in public")
    house.installation.bursar("unfreeze", "person", "ben@example.edu")
    told = {"admin@localhost": 1, "dpo@example.edu": 1}
    until(lambda: house.mails("ben@example.edu is frozen") == told)
    until(lambda: house.mails("ben@example.edu goes on") == told)
    until(lambda: len(house.posts("access.unfrozen")) == 1)
    assert [each.json()["type"] for each in house.hooks.posts if "access" in each.json()["type"]] == [
        "access.frozen",
        "access.unfrozen",
    ]


def test_what_the_platform_says_of_budget_and_credential_is_told(house: House) -> None:
    house.installation.control(
        "POST", "faults", endpoint="video/query", status=429, code="daily_quota_limit_exceeded", next=1
    )
    assert house.ask(13)[0] == 429
    until(lambda: len(house.posts("platform.spent")) == 1)
    assert house.posts("platform.spent")[0].json()["data"]["family"] == "main"
    house.installation.control("POST", "reset")
    # The next call that goes out asks for a token with a secret that the platform does not know.
    (house.installation.home / "secret").write_text("a-secret-that-is-none-4f1b")
    house.installation.apply(
        people=[*state("", limits={})["people"], *DESK], projects=state("", limits={})["projects"]
    )
    headers = {"Authorization": f"Bearer {house.key['api_key']}", "Content-Type": "application/json"}
    path = "/v2/research/user/followers/"
    for _ in range(2):
        body = json.dumps({"username": "sim_user_1"}).encode()
        assert call(house.installation.port, "POST", path, body=body, headers=headers)[0] == 503
    until(lambda: len(house.posts("credential.refused")) == 1)
    desk = {"admin@localhost": 1, "quota@example.edu": 1}
    until(lambda: house.mails("refuses credential") == desk)


def test_every_notice_was_told_once_and_counted(house: House) -> None:
    house.installation.bursar("freeze", "person", "cleo@example.edu", "--reason", "key found in public")
    until(lambda: len(house.mails("cleo@example.edu is frozen")) == 2)
    ids = Counter(each.headers["webhook-id"] for each in house.hooks.posts)
    assert set(ids.values()) == {1}
    for channel, count in (("webhook", len(ids)), ("log", len(ids)), ("mail", len(house.mailbox.mails))):
        line = f'bursar_notices_total{{channel="{channel}",outcome="sent"}} {count}.0'
        until(lambda line=line: line in house.metrics())  # type: ignore[misc]


def test_log_lines_tell_the_same_and_name_nobody(house: House) -> None:
    assert house.installation.gateway is not None
    house.installation.bursar("freeze", "person", "cleo@example.edu", "--reason", "key found in public")
    until(lambda: "access.frozen" in house.hooks.events())
    gateway = house.installation.gateway
    until(lambda: all(event in gateway.output for event in house.hooks.events()))
    output = gateway.output
    for hidden in ("@example.edu", "key found in public", "canary-in-the-address", SECRET):
        assert hidden not in output


def failed(house: House) -> float:
    (line,) = re.findall(
        r'^bursar_notices_total{channel="webhook",outcome="failed"} (.*)$', house.metrics(), re.MULTILINE
    )
    return float(line)


def test_channels_that_are_down_delay_no_call_and_are_told_to_the_doctor(
    house: House, tmp_path: Path
) -> None:
    house.hooks.may_answer.clear()
    house.hooks.answer(*[500] * 20)
    before = len(house.hooks.posts)
    house.installation.bursar("freeze", "project", "climate", "--reason", "a test")
    until(lambda: len(house.hooks.posts) > before)
    for _ in range(5):
        house.ask(0)
    # Nobody has waited for the receiver: the notice is still on its way.
    assert failed(house) == 0
    house.hooks.may_answer.set()
    until(lambda: failed(house) > 0)
    findings = house.installation.bursar("doctor", check=False)["findings"]
    found = [each for each in findings if each["code"] == "notices_not_delivered"]
    assert len(found) == 1
    assert "webhook" in found[0]["what"]
    assert "status 500" in found[0]["what"]
