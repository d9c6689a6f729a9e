"""Notices to a web address of the institution's, signed so that the receiver can tell that they are Bursar's.

The form is that of the Standard Webhooks specification 1.0.0 (https://www.standardwebhooks.com, read 2026-11):
headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, the latter `v1,` and the base64 of HMAC-SHA256
over id, timestamp and body with full stops between. The id is the same at each try, so that the receiver can tell
repetitions; the timestamp is that of the try. Redirects are not followed, since the address was signed for alone.
"""

import base64
import binascii
import hashlib
import hmac
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import orjson

from app.administration.notices import LONGEST_SEND_S, Message, Undelivered
from app.clock import Clock
from app.errors import BadSetting
from app.settings import is_placeholder
from app.upstream.client import httpx
from app.upstream.secret_files import read_secret

_PREFIX: Final = "whsec_"
_FEWEST_BYTES: Final = 24
"""Of the specification, which asks for 24 to 64."""
_GONE: Final = 410
"""The specification: the receiver wants no more of these."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The secret that Bursar and the receiver share; `repr` does not show it."""

    raw: bytes = field(repr=False)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The key in a file: `whsec_` and base64, as the specification writes it, or any long text.

        Raises BadSetting where the file is missing, open to others, or holds less than 24 bytes.
        """
        text = read_secret(path)
        try:
            raw = (
                base64.b64decode(text.removeprefix(_PREFIX), validate=True)
                if text.startswith(_PREFIX)
                else text.encode()
            )
        except binascii.Error as error:
            raise BadSetting(f"{path} holds no base64 after {_PREFIX}.") from error
        if len(raw) < _FEWEST_BYTES or is_placeholder(text):
            raise BadSetting(f"{path} must hold a secret of at least {_FEWEST_BYTES} random bytes.")
        return cls(raw)

    def signature(self, message_id: str, timestamp: int, body: bytes) -> str:
        """The value of `webhook-signature`."""
        signed = f"{message_id}.{timestamp}.".encode() + body
        return "v1," + base64.b64encode(hmac.digest(self.raw, signed, "sha256")).decode()


class Webhook:
    """The channel that posts messages to one address. `close` it in the end."""

    is_personal = False

    def __init__(self, *, url: str, key: SigningKey, clock: Clock, ca_file: str | None = None) -> None:
        self._url = url
        self._key = key
        self._clock = clock
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            # The system's authorities, since an institution's own receiver has a certificate of its own.
            verify=ssl.create_default_context(cafile=ca_file),
            timeout=httpx.Timeout(LONGEST_SEND_S / 2, connect=5.0),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
            headers={"User-Agent": "bursar", "Accept": "*/*", "Content-Type": "application/json"},
        )

    async def send(self, message: Message, to: str) -> None:  # noqa: ARG002 - there is one address
        """Post it; a 2xx is a delivery."""
        message_id, body = id_of(message), body_of(message)
        timestamp = int(self._clock.now().timestamp())
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": self._key.signature(message_id, timestamp, body),
        }
        try:
            async with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                status, waits = answer.status_code, answer.headers.get("retry-after", "")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # No `from`: the request holds the address, which may hold a secret.
            raise Undelivered(f"no answer: {type(error).__name__}") from None
        if not 200 <= status < 300:
            wait_s = int(waits[:5]) if waits.isascii() and waits.isdigit() else 0
            is_gone = status == _GONE
            raise Undelivered(
                f"status {status}", is_final=is_gone, is_of_channel=not is_gone, retry_after_s=wait_s
            )

    async def close(self) -> None:
        """Give back connections."""
        await self._client.aclose()


def id_of(message: Message) -> str:
    """The id that every try of a message carries."""
    return "msg_" + hashlib.sha256(message.id.encode()).hexdigest()[:32]


def body_of(message: Message) -> bytes:
    """What is posted: the event, when it was, and its facts, which name nobody."""
    return orjson.dumps(
        {
            "type": message.event,
            "timestamp": message.at.isoformat().replace("+00:00", "Z"),
            "data": dict(message.data),
        }
    )
