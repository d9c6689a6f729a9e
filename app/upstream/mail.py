"""Notices by mail: one message a recipient, over SMTP, each in a session of its own.

`smtps://` speaks TLS from the start; `smtp://` asks for STARTTLS and goes on only with it, except on loopback or
where the address says `?starttls=no`. The standard library's client blocks, so it works in a thread.
"""

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from app.administration.notices import LONGEST_SEND_S, Message, Undelivered
from app.clock import Clock
from app.errors import BadSetting

_PORTS: Final = {"smtp": 25, "smtps": 465}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_OPERATION_S: Final = LONGEST_SEND_S / 4
"""Of each step of a session, of which there are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed over; `repr` does not show the password."""

    host: str
    port: int
    has_tls_from_start: bool
    needs_starttls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, url: str, *, password: str | None = None) -> Self:
        """The server of a URL. Good: `smtp://user@mail.example.edu:587`. Bad: `mail.example.edu`.

        Raises BadSetting for another form, for a password in the URL, and where one would go out in the clear.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise BadSetting("BURSAR_SMTP_URL has a port that is none.") from error
        options = dict(parse_qsl(parts.query))
        is_known = set(options) <= {"starttls"} and options.get("starttls", "no") == "no"
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in {"", "/"} or not is_known:
            raise BadSetting(
                "BURSAR_SMTP_URL must be smtp://host or smtps://host, with a port and a user where needed."
            )
        if parts.password is not None:
            raise BadSetting("BURSAR_SMTP_URL holds a password; put it into BURSAR_SMTP_PASSWORD_FILE.")
        is_near, has_tls = parts.hostname in _LOOPBACK, parts.scheme == "smtps"
        needs_starttls = not has_tls and not is_near and "starttls" not in options
        user = unquote(parts.username) if parts.username else None
        if (user is None) != (password is None):
            raise BadSetting("A user in BURSAR_SMTP_URL and BURSAR_SMTP_PASSWORD_FILE go together.")
        if user is not None and not (has_tls or needs_starttls or is_near):
            raise BadSetting("BURSAR_SMTP_URL would send a password without TLS.")
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            has_tls_from_start=has_tls,
            needs_starttls=needs_starttls,
            user=user,
            password=password,
        )


class Mail:
    """The channel that hands mail to one server."""

    is_personal = True

    def __init__(self, *, server: MailServer, sender: str, clock: Clock, ca_file: str | None = None) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock
        self._tls = ssl.create_default_context(cafile=ca_file)

    async def send(self, message: Message, to: str) -> None:
        """Hand it over; what the server accepted counts as delivered."""
        try:
            mail = self._written(message, to)
        except (HeaderParseError, ValueError, IndexError) as error:
            raise Undelivered("no address that mail can go to", is_final=True, is_of_channel=False) from error
        await asyncio.to_thread(self._hand_over, mail, to)

    async def close(self) -> None:
        """Nothing is held between messages."""

    def _written(self, message: Message, to: str) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        digest = hashlib.sha256(f"{message.id} {to}".encode()).hexdigest()[:32]
        mail["From"] = Address(display_name="Bursar", addr_spec=self._sender)
        mail["To"] = Address(addr_spec=to)
        mail["Subject"] = f"[Bursar] {message.subject}"
        mail["Date"] = format_datetime(self._clock.now())
        # The same at each try, so that a repetition can be known for one.
        mail["Message-ID"] = f"<{digest}@{self._sender.rpartition('@')[2]}>"
        # RFC 3834: nobody shall answer to say that they are on holiday.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail

    def _hand_over(self, mail: EmailMessage, to: str) -> None:
        with _told(), self._session() as session:
            if self._server.needs_starttls:
                session.starttls(context=self._tls)
            if self._server.user is not None and self._server.password is not None:
                session.login(self._server.user, self._server.password)
            session.send_message(mail, from_addr=self._sender, to_addrs=[to])

    def _session(self) -> smtplib.SMTP:
        host, port = self._server.host, self._server.port
        if self._server.has_tls_from_start:
            return smtplib.SMTP_SSL(host, port, timeout=_OPERATION_S, context=self._tls)
        return smtplib.SMTP(host, port, timeout=_OPERATION_S)


@contextmanager
def _told() -> Iterator[None]:
    """Failures of the session as Undelivered: by code and kind, since servers repeat addresses in their words."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code = max((code for code, _ in error.recipients.values()), default=0)
        raise Undelivered(f"recipient refused: {code}", is_final=code >= 500, is_of_channel=False) from None
    except smtplib.SMTPResponseException as error:
        is_of_message = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500
        raise Undelivered(
            f"{type(error).__name__}: {error.smtp_code}",
            is_final=is_of_message,
            is_of_channel=not is_of_message,
        ) from None
    except (smtplib.SMTPException, OSError) as error:
        raise Undelivered(f"no session: {type(error).__name__}") from None
