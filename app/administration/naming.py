"""What new names and addresses may hold. What is there already keeps its name, whatever that holds."""

from typing import Final

from app.administration.desired import malformed
from app.administration.state import Credential, Person, Project

_NOT_IN_PATHS: Final = "/\\?#%"


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


def require_visible(place: str, text: str) -> None:
    """Return if the text is one line, all of it seen and in its own order; raises InvalidParams, naming the place."""
    if not text.isprintable():
        raise malformed(
            place, f"{text!a} holds characters that are not seen, or turn others around; leave them out"
        )
