import datetime as dt
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from app.administration.notices import Message, Undelivered
from app.clock import SystemClock
from app.errors import BadSetting
from app.upstream.mail import Mail, MailServer
from tests.servers.certificates import Authority, Pair
from tests.servers.programs import free_port
from tests.servers.receivers import Mailbox

pytestmark = pytest.mark.anyio

ADA = "ada@example.edu"
MESSAGE = Message(
    id="threshold:project:p:requests:day:2026-11-25:80",
    event="quota.threshold",
    at=dt.datetime(2026, 11, 25, 10, 0, tzinfo=dt.UTC),
    subject="80 % of requests/day used: project:Wählen",
    text="project:Wählen has taken 240 of 300.\n.\nIt comes back.\n",
    data={},
    recipients={"a": ADA},
)


async def sent(
    server: MailServer, *, to: str = ADA, ca_file: Path | None = None, message: Message = MESSAGE
) -> None:
    ca = None if ca_file is None else str(ca_file)
    await Mail(server=server, sender="bursar@example.edu", clock=SystemClock(), ca_file=ca).send(message, to)


def at(mailbox: Mailbox, scheme: str = "smtp") -> MailServer:
    return MailServer.at(f"{scheme}://localhost:{mailbox.port}")


async def test_a_mail_says_what_happened_to_one_recipient() -> None:
    with Mailbox() as mailbox:
        await sent(at(mailbox))
        await sent(at(mailbox))
    (to, mail), (_, again) = mailbox.mails
    assert (to, mail["To"]) == (ADA, ADA)
    assert mail["From"] == "Bursar <bursar@example.edu>"
    assert mail["Subject"] == "[Bursar] 80 % of requests/day used: project:Wählen"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"]
    assert mail["Message-ID"] == again["Message-ID"]
    assert mail.get_content().splitlines() == MESSAGE.text.splitlines()


@pytest.mark.parametrize(
    ("line", "is_final"),
    [("550 no such user", True), ("451 try again later", False), ("452 mailbox full", False)],
)
async def test_a_refused_recipient_keeps_no_other_waiting(line: str, is_final: bool) -> None:
    with Mailbox(refuse={ADA: line}) as mailbox:
        with pytest.raises(Undelivered) as failed:
            await sent(at(mailbox))
        await sent(at(mailbox), to="ben@example.edu")
    assert (failed.value.is_final, failed.value.is_of_channel) == (is_final, False)
    assert [to for to, _ in mailbox.mails] == ["ben@example.edu"]
    assert ADA not in "".join(traceback.format_exception(failed.value))


async def test_a_server_that_is_down_fails_the_channel() -> None:
    with pytest.raises(Undelivered) as failed:
        await sent(MailServer.at(f"smtp://127.0.0.1:{free_port()}"))
    assert (failed.value.is_final, failed.value.is_of_channel) == (False, True)


@pytest.mark.parametrize("address", ["no address", "a,b@example.edu", "a\r\nBcc: x@example.edu"])
async def test_what_is_no_address_for_mail_is_given_up(address: str) -> None:
    with Mailbox() as mailbox:
        with pytest.raises(Undelivered) as failed:
            await sent(at(mailbox), to=address)
        assert (failed.value.is_final, failed.value.is_of_channel) == (True, False)
        assert mailbox.mails == []


@pytest.fixture
def university(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path, "university")


@pytest.fixture
def pair(university: Authority) -> Pair:
    return university.issue("localhost")


async def test_off_loopback_a_server_must_offer_tls_by_a_name_that_is_believed(
    university: Authority, pair: Pair
) -> None:
    with Mailbox() as plain, Mailbox(pair=pair) as safe:
        with pytest.raises(Undelivered):
            await sent(replace(at(plain), needs_starttls=True), ca_file=university.certificate)
        with pytest.raises(Undelivered):
            await sent(replace(at(safe), needs_starttls=True))
        await sent(replace(at(safe), needs_starttls=True), ca_file=university.certificate)
        assert (len(plain.mails), len(safe.mails)) == (0, 1)


async def test_smtps_speaks_tls_from_the_start(university: Authority, pair: Pair) -> None:
    with Mailbox(pair=pair, tls_from_start=True) as mailbox:
        with pytest.raises(Undelivered):
            await sent(at(mailbox, "smtps"))
        await sent(at(mailbox, "smtps"), ca_file=university.certificate)
        assert len(mailbox.mails) == 1


async def test_a_user_shows_the_password_and_a_wrong_one_is_told_as_a_code(
    university: Authority, pair: Pair
) -> None:
    with Mailbox(pair=pair, wants_login=True) as mailbox:
        url = f"smtp://bursar@localhost:{mailbox.port}"
        right = replace(MailServer.at(url, password="right"), needs_starttls=True)
        wrong = replace(MailServer.at(url, password="wrong-canary"), needs_starttls=True)
        await sent(right, ca_file=university.certificate)
        with pytest.raises(Undelivered, match="535") as failed:
            await sent(wrong, ca_file=university.certificate)
        assert len(mailbox.mails) == 1
        assert set(mailbox.users) == {("bursar", "right"), ("bursar", "wrong-canary")}
    assert "canary" not in "".join(traceback.format_exception(failed.value)) + repr(wrong)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://localhost", (25, False, False)),
        ("smtp://127.0.0.1:2525", (2525, False, False)),
        ("smtp://mail.example.edu", (25, False, True)),
        ("smtp://mail.example.edu:587", (587, False, True)),
        ("smtp://mail.example.edu?starttls=no", (25, False, False)),
        ("smtps://mail.example.edu", (465, True, False)),
    ],
)
def test_tls_is_used_everywhere_but_on_loopback(url: str, expected: tuple[int, bool, bool]) -> None:
    server = MailServer.at(url)
    assert (server.port, server.has_tls_from_start, server.needs_starttls) == expected


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("mail.example.edu", None),
        ("http://mail.example.edu", None),
        ("smtp://", None),
        ("smtp://mail.example.edu/path", None),
        ("smtp://mail.example.edu:http", None),
        ("smtp://mail.example.edu?starttls=maybe", None),
        ("smtp://mail.example.edu?tls=no", None),
        ("smtp://bursar:secret@mail.example.edu", None),
        ("smtp://bursar@mail.example.edu", None),
        ("smtp://mail.example.edu", "secret-canary"),
        ("smtp://bursar@mail.example.edu?starttls=no", "secret-canary"),
    ],
)
def test_a_server_that_cannot_be_or_would_leak_is_refused(url: str, password: str | None) -> None:
    with pytest.raises(BadSetting) as refused:
        MailServer.at(url, password=password)
    assert "canary" not in refused.value.message
    assert "secret@" not in refused.value.message
