"""What messages of the use-cases send people to at the command line."""

import re
from pathlib import Path

import app.administration


def lists_of_the_command_line() -> set[str]:
    """Every list of the command line that a message names."""
    places = Path(app.administration.__file__).parent.glob("*.py")
    found = {
        each
        for place in places
        for each in re.findall(r"; (`bursar [a-z ]+` shows all)", place.read_text(encoding="utf-8"))
    }
    assert len(found) >= 10
    return found
