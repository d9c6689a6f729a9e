import base64
import datetime as dt
import hmac
import json
import traceback
from pathlib import Path

import pytest

from app.administration.notices import Message, Undelivered
from app.clock import SystemClock
from app.errors import BadSetting
from app.upstream.webhook import SigningKey, Webhook
from tests.servers.certificates import Authority
from tests.servers.programs import free_port
from tests.servers.receivers import Hooks

pytestmark = pytest.mark.anyio

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RAW = base64.b64decode(SECRET.removeprefix("whsec_"))
MESSAGE = Message(
    id="threshold:project:p:requests:day:2026-11-25:80",
    event="quota.threshold",
    at=dt.datetime(2026, 11, 25, 10, 0, tzinfo=dt.UTC),
    subject="80 % used: project:elections",
    text="names people\n",
    data={"percent": 80},
    recipients={"a": "ada@example.edu"},
)


def secret_file(path: Path, content: bytes = SECRET.encode(), mode: int = 0o400) -> Path:
    file = path / "webhook-secret"
    file.write_bytes(content)
    file.chmod(mode)
    return file


async def sent(url: str, *, ca_file: str | None = None, message: Message = MESSAGE) -> None:
    hook = Webhook(url=url, key=SigningKey(RAW), clock=SystemClock(), ca_file=ca_file)
    try:
        await hook.send(message, "")
    finally:
        await hook.close()


def test_the_specifications_own_example_has_its_signature() -> None:
    # Standard Webhooks, test vector of the reference libraries.
    signature = SigningKey(RAW).signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_post_is_signed_over_its_id_its_time_and_its_very_bytes() -> None:
    with Hooks() as hooks:
        await sent(hooks.url)
        await sent(hooks.url)
    first, second = hooks.posts
    for post in (first, second):
        named = {name: post.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")}
        signed = f"{named['id']}.{named['timestamp']}.".encode() + post.body
        expected = base64.b64encode(hmac.digest(RAW, signed, "sha256")).decode()
        assert named["signature"] == f"v1,{expected}"
        assert abs(int(named["timestamp"]) - dt.datetime.now(dt.UTC).timestamp()) < 60
        assert post.headers["content-type"] == "application/json"
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.json() == {
        "type": "quota.threshold",
        "timestamp": "2026-11-25T10:00:00Z",
        "data": {"percent": 80},
    }
    assert b"ada@example.edu" not in first.body
    assert b"names people" not in first.body


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 503])
async def test_whatever_is_no_2xx_is_not_delivered_and_tried_again(status: int) -> None:
    with (
        Hooks() as elsewhere,
        Hooks(status, headers={"Location": elsewhere.url, "Retry-After": "90"}) as hooks,
    ):
        with pytest.raises(Undelivered) as failed:
            await sent(hooks.url)
        assert (len(hooks.posts), elsewhere.posts) == (1, [])
    assert (failed.value.reason, failed.value.is_final) == (f"status {status}", False)
    assert failed.value.retry_after_s == 90


async def test_a_receiver_that_is_gone_is_not_asked_again() -> None:
    with Hooks(410) as hooks, pytest.raises(Undelivered) as failed:
        await sent(hooks.url)
    assert failed.value.is_final


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with Hooks() as hooks:
        await sent(hooks.url)
        assert len(hooks.posts) == 1


async def test_nobody_there_says_neither_address_nor_secret() -> None:
    url = f"http://127.0.0.1:{free_port()}/hook?token=canary-in-the-address"
    with pytest.raises(Undelivered) as failed:
        await sent(url)
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    assert "canary" not in told
    assert failed.value.is_of_channel
    assert SECRET not in repr(SigningKey(RAW))
    assert str(RAW) not in repr(SigningKey(RAW))


async def test_a_certificate_is_believed_by_the_authorities_that_were_named(tmp_path: Path) -> None:
    university = Authority.make(tmp_path, "university")
    with Hooks(pair=university.issue("localhost")) as hooks:
        with pytest.raises(Undelivered):
            await sent(hooks.url)
        await sent(hooks.url, ca_file=str(university.certificate))
        assert len(hooks.posts) == 1


def test_a_secret_is_read_in_the_specifications_form_or_as_text(tmp_path: Path) -> None:
    assert SigningKey.from_file(secret_file(tmp_path, SECRET.encode() + b"\n")).raw == RAW
    plain = "correct horse battery staple and more"
    (tmp_path / "webhook-secret").unlink()
    assert SigningKey.from_file(secret_file(tmp_path, plain.encode())).raw == plain.encode()


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (SECRET.encode(), 0o444, "chmod 0400"),
        (b"", 0o400, "empty"),
        (b"whsec_short", 0o400, "base64"),
        (b"whsec_c2hvcnQ=", 0o400, "24"),
        (b"too short", 0o400, "24"),
        (b"<put your signing secret here>", 0o400, "24"),
        (b"\xff" * 40, 0o400, "no text"),
        (b"x" * 5_000, 0o400, "longer"),
    ],
)
def test_a_secret_that_is_none_is_refused(tmp_path: Path, content: bytes, mode: int, says: str) -> None:
    file = secret_file(tmp_path, content, mode)
    with pytest.raises(BadSetting, match=says):
        SigningKey.from_file(file)


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="nowhere"):
        SigningKey.from_file(tmp_path / "nowhere")


async def test_a_body_is_json_without_a_word_of_the_text() -> None:
    with Hooks() as hooks:
        await sent(hooks.url)
    assert set(json.loads(hooks.posts[0].body)) == {"type", "timestamp", "data"}
