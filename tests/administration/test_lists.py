"""Lists as spreadsheets of several languages and makes save them."""

import datetime as dt
from collections.abc import Sequence

import pytest

from app.administration.lines import Wrong, refused
from app.administration.lists import keys_in, people_in, projects_in

PEOPLE = [
    {"email": "ada@example.edu", "name": "Ada Byron", "roles": ["researcher", "lead"]},
    {"email": "bob@example.edu", "name": "Noether, Bob; Dr.", "roles": ["researcher"]},
]
SAVED = {
    "commas": 'email,name,roles\nada@example.edu,Ada Byron,researcher lead\nbob@example.edu,"Noether, Bob; Dr."\n',
    "commas, roles apart by semicolons": (
        'Ada@example.edu,Ada Byron,researcher;lead;\nbob@example.edu,"Noether, Bob; Dr."'
    ),
    "semicolons": (
        'Email;Name;Roles\r\nada@example.edu;Ada Byron;researcher lead\r\nbob@example.edu;"Noether, Bob; Dr.";\r\n'
    ),
    "tabs": "ada@example.edu\tAda Byron\tresearcher lead\nbob@example.edu\tNoether, Bob; Dr.\t\n",
}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("lines", SAVED.values(), ids=SAVED)
def test_people_are_read_however_a_spreadsheet_saves_them(lines: str, mark: str) -> None:
    assert people_in(f"{mark}{lines}").contents == PEOPLE


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_projects_and_keys_are_read_alike(separator: str) -> None:
    line = "seas,main,R-1,2026-01-01,2036-12-31,ada@example.edu,bob@example.edu,all"
    (project,) = projects_in("\ufeff" + line.replace(",", separator)).contents
    assert (project["name"], project["lead"], project["allow"]) == ("seas", "ada@example.edu", {})
    (key,) = keys_in("\ufeff" + "seas,ada@example.edu,2036-01-31".replace(",", separator)).keys
    assert (key.project, key.email, key.expires) == ("seas", "ada@example.edu", dt.date(2036, 1, 31))


def test_a_separator_in_quotes_separates_nothing() -> None:
    (key,) = keys_in('"rivers, lakes";ada@example.edu').keys
    assert (key.project, key.email) == ("rivers, lakes", "ada@example.edu")


def told(wrong: Sequence[Wrong]) -> list[str]:
    return refused(wrong).message.split("\n")


def test_what_is_wrong_is_told_by_its_line() -> None:
    (line,) = told(people_in("ada@example.edu;Ada\n\nbob@example.edu;Bob;king").wrong)
    assert line.startswith("Line 3: roles: input should be")
    listed = projects_in("a,main,R,2026-01-01,2036-01-01,,,all\nb,main,R,2036-01-01,2026-01-01,,,all")
    assert told(listed.wrong) == ["Line 2: approval: until lies before from"]
    assert [each["name"] for each in listed.contents] == ["a"]


def test_every_line_that_is_wrong_is_told_in_the_order_of_the_list() -> None:
    listed = people_in(
        'zoe@example.edu\nada@example.edu,Ada,king\nbob@example.edu,Bob\nBob@example.edu,B\n,"x'
    )
    starts = ["Line 1 needs", "Line 2: roles", "Line 4 names bob@example.edu", "Line 5 is no CSV"]
    assert all(line.startswith(start) for line, start in zip(told(listed.wrong), starts, strict=True))
    keys = keys_in("seas\nseas,ada@example.edu,soon\nseas,bob@example.edu\nseas,bob@example.edu")
    starts = ["Line 1 needs", "Line 2: a day", "Line 4 asks for a second key"]
    assert all(line.startswith(start) for line, start in zip(told(keys.wrong), starts, strict=True))
    many = people_in("\n".join(f"p{number}@example.edu" for number in range(60)))
    assert told(many.wrong)[49:] == [many.wrong[49].refusal.message, "And 10 more."]
