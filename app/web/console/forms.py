"""What a form holds, read once into values that cannot be wrong."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.errors import InvalidParams

MOST_BYTES: Final = 262_144
_MOST_FIELDS: Final = 400
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
_KEPT: Final = "kept:"
"""Before the names of what another form carries along."""
_OF_PAGES: Final = frozenset({"step", "version", "was"})
_WAS: Final = "was "
"""Before the names of what a limit was when its form was made."""
_NUMBER: Final = re.compile(
    "[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,3}(?:[ \u00a0\u2009\u202f][0-9]{3}){1,4}"
)
"""As people write it: `1500`, or in groups of three with commas or blanks of any width between them."""
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class FieldRefused(InvalidParams):
    """What stands in one field does not hold; `field` is its name, for the form to point at it."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message, rule="request")
        self.field = field


@dataclass(frozen=True, slots=True)
class Form:
    """Fields by name. Every text is without control characters but for line ends and tabs."""

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises InvalidParams for what no form of ours sends."""
        try:
            pairs = parse_qsl(
                body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
            )
        except ValueError as error:
            raise InvalidParams("The form could not be read.", rule="request") from error
        found: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            if _UNSAFE.search(value):
                raise InvalidParams("A field holds characters that are no text.", rule="request")
            found[name] = (*found.get(name, ()), value)
        return cls(found)

    def get(self, name: str, default: str = "") -> str:
        """A field as it was given, for the form to show again."""
        return self.fields.get(name, (default,))[0]

    def text(self, name: str, what: str, *, most: int = 320) -> str:
        """A text that is there, trimmed, `what` being its label. Raises FieldRefused."""
        value = self.get(name).strip()
        if not value:
            raise FieldRefused(f"{what} is missing.", field=name)
        if len(value) > most:
            raise FieldRefused(f"{what} has more than {most} characters.", field=name)
        return value

    def many(self, name: str) -> tuple[str, ...]:
        """Every value of a field that may be chosen more than once."""
        return tuple(each for each in self.fields.get(name, ()) if each)

    def number(self, name: str, what: str) -> int:
        """A whole number from 0 on, be it in groups of three. Raises FieldRefused, for `1,5` too."""
        value = self.text(name, what, most=30)
        if _NUMBER.fullmatch(value) is None:
            raise FieldRefused(f"{what} must be a whole number from 0 on, such as 1500 or 1,500.", field=name)
        return int("".join(filter(str.isdigit, value)))

    def day(self, name: str, what: str) -> dt.date:
        """A day such as 2027-06-30. Raises FieldRefused."""
        value = self.text(name, what, most=30)
        try:
            return dt.date.fromisoformat(value)
        except ValueError as error:
            raise FieldRefused(f"{what} must be a day such as 2027-06-30.", field=name) from error

    def day_or_none(self, name: str, what: str) -> dt.date | None:
        """The same where it may be left open."""
        return self.day(name, what) if self.get(name).strip() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptForm:
    """A form that waits until whoever sent it has proved once more who they are; `what` is what it does, in words."""

    what: str
    path: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def of(cls, form: Form, *, what: str, path: str) -> Self:
        """The form as it was sent to `path`; the token of a session that is about to end is left out."""
        pairs = ((name, value) for name, values in form.fields.items() for value in values)
        return cls(what=what, path=path, fields=tuple(pair for pair in pairs if pair[0] != "form_token"))

    @classmethod
    def carried_by(cls, form: Form) -> Self:
        """The form that another one, the proof, carries along."""
        return cls(
            what=form.get("kept-what"),
            path=form.get("kept-path"),
            fields=tuple(
                (name.removeprefix(_KEPT), value)
                for name, values in form.fields.items()
                if name.startswith(_KEPT)
                for value in values
            ),
        )

    @classmethod
    def of_told(cls, told: Mapping[str, Any]) -> Self:
        """The form of which `told` tells."""
        return cls(
            what=told["what"],
            path=told["path"],
            fields=tuple((name, value) for name, value in told["fields"]),
        )

    def from_the_start(self) -> Self:
        """The form before it was looked at, so that what it would change is shown anew."""
        return replace(self, fields=tuple(pair for pair in self.fields if pair[0] != "step"))

    @property
    def seen(self) -> tuple[tuple[str, str], ...]:
        """What people entered of it, without what pages put into their forms and limits that were left as they are."""
        was = {
            f"limit {name.removeprefix(_WAS)}": value for name, value in self.fields if name.startswith(_WAS)
        }
        return tuple(
            (name, value)
            for name, value in self.fields
            if value and value != was.get(name) and name not in _OF_PAGES and not name.startswith(_WAS)
        )

    def told(self) -> dict[str, Any]:
        """It as JSON holds it."""
        return {"what": self.what, "path": self.path, "fields": self.fields}


async def read_form(request: Request) -> Form:
    """The form in a request's body. Raises InvalidParams, and HTTPException for a body that is no form."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _MEDIA_TYPE or "content-encoding" in request.headers:
        raise HTTPException(415, "Only forms are taken here.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"At most {MOST_BYTES} bytes are read of a form.")
    return Form.parse(bytes(body))
