"""What to do at the console, where a message of a use-case names a command."""

from collections.abc import Mapping
from typing import Final

_INSTEAD: Final[Mapping[str, str]] = {
    "`bursar person list` shows all": "look for them under People, or have them added there first",
    "`bursar project list` shows all": "look for it under Projects",
    "`bursar credential list` shows all": "credentials and their limits are listed under Quotas",
    "`bursar key list` shows all": "look for it under Keys",
    "`bursar token list` shows all": "look for it under People, on its owner's page",
    "`bursar terms list` shows all": "all versions are listed under Terms and rules",
    "`bursar limit list` shows all": "all limits are listed under Quotas",
    "`bursar limit raises` shows all": "all raises are listed under Quotas",
    "`bursar proposal list` shows all": "what waits for a second administrator is listed under Quotas",
    "`bursar request list` shows all": "it may have been withdrawn, or decided by somebody else",
    "with `bursar limit set` or `bursar apply`": "under Quotas",
    "with `bursar limit set`": "under Quotas",
    "with `bursar unfreeze`": "on its own page, under Projects or People",
    "change that with `bursar audit retention`": "two people can change that, under Compliance",
    " (`bursar token issue`)": "",
}


def at_the_console(message: str) -> str:
    """The message for whoever sits at a browser.

    "There is no project tides; `bursar project list` shows all." sends them to the page of that name.
    """
    for command, hint in _INSTEAD.items():
        message = message.replace(command, hint)
    return message
