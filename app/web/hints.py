"""What to do through the API, where a message of a use-case names a command."""

from collections.abc import Mapping
from typing import Final

_LISTED: Final[Mapping[str, str]] = {
    "person list": "people",
    "project list": "projects",
    "credential list": "credentials",
    "key list": "keys",
    "token list": "people/{person}/tokens",
    "terms list": "terms",
    "limit list": "limits",
    "limit raises": "raises",
    "proposal list": "proposals",
    "request list": "requests",
}
"""Where lists are that commands show."""


def through_the_api(message: str) -> str:
    """The message for whoever has no shell.

    "There is no project tides; `bursar project list` shows all." sends them to `GET /api/v1/projects`.
    """
    for command, path in _LISTED.items():
        message = message.replace(
            f"`bursar {command}` shows all", f"`GET /api/v1/{path}` lists what you may see"
        )
    return message
