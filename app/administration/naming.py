"""What new names and addresses may hold. What is there already keeps its name, whatever that holds."""

import datetime as dt
import re
from dataclasses import replace
from typing import Final

from app.administration.desired import malformed
from app.administration.state import Credential, Person, Project

_NOT_IN_PATHS: Final = "/\\?#%"
_MOST_CHARS: Final = 320
_ATOM: Final = r"[\w!$&'*+=^`{|}~-]+"
_LABEL: Final = r"\w(?:[\w-]*\w)?"
_ADDRESS: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
"""An address without quotes (RFC 5322, section 3.4.1), in letters of any script (RFC 6531)."""


def require_new(place: str, name: str, old: Credential | Person | Project | None) -> None:
    """Return if that is there already, or may be added under its name; raises InvalidParams, naming the place.

    Good: `elections 2026`, `ada+x@example.edu`. Bad: `x/y`, `..`, and characters that cannot be seen.
    """
    if old is not None and old.retired_us is None:
        return
    if name in {".", ".."} or any(each in name for each in _NOT_IN_PATHS):
        raise malformed(
            place,
            f"{name!a} could not stand in a path of the API; a new name or address is made of letters, digits, blanks "
            f"and signs other than {' '.join(_NOT_IN_PATHS)}, and is not . or .. alone",
        )
    require_visible(place, name)


def former(person: Person) -> Person:
    """Somebody who left, once another person has their address: told apart by their last day, or by their id.

    No address is written so: `ada@example.edu (until 2026-11-30, 5f0c1e9a7b3d2486ac90)`.
    """
    until = dt.datetime.fromtimestamp((person.retired_us or 0) / 1_000_000, dt.UTC).date()
    label = f"{person.email} (until {until}, {person.id})"
    return replace(person, email=label if len(label) <= _MOST_CHARS else person.id)


def require_new_address(place: str, email: str, old: Person | None) -> None:
    """Return if that person is there already, or mail could reach the address; raises InvalidParams, naming the place.

    Good: `ada+x@example.edu`, `admin@localhost`. Bad: `a,b@example.edu`, `<a>@example.edu`, `a@example.edu.`.
    """
    require_new(place, email, old)
    if (old is None or old.retired_us is not None) and _ADDRESS.fullmatch(email) is None:
        raise malformed(
            place,
            f"{email!a} is not an e-mail address; before the @ it has letters, digits and signs such as + - _, behind it the "
            "name of a host, and no dot at an end of either",
        )


def require_visible(place: str, text: str) -> None:
    """Return if the text is one line, all of it seen and in its own order; raises InvalidParams, naming the place."""
    if not text.isprintable():
        raise malformed(
            place, f"{text!a} holds characters that are not seen, or turn others around; leave them out"
        )
