"""Lists of people, projects and keys as spreadsheets save them, told about by the numbers of their lines.

What is wrong with one line stops no other from being looked at, so that whoever mends a list mends it once.

Between columns stands a comma, a semicolon or a tab: whichever comes first in the first line. A mark of the order of
bytes at the very beginning, as some programs write it, says nothing.
"""

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.administration.acts import Wish
from app.administration.desired import checked
from app.administration.difference import difference
from app.administration.keys import WantedKey
from app.administration.lines import Wrong
from app.administration.minting import Mint
from app.administration.state import State
from app.errors import Conflict, InvalidParams, Refusal
from app.identity.roles import Role

MOST_ROWS: Final = 1_000
_COLUMNS: Final = ("email", "name", "roles")
_KEY_COLUMNS: Final = ("project", "person", "expires")
_PROJECT_COLUMNS: Final = ("name", "credential", "reference", "from", "until", "lead", "members", "endpoints")
_BETWEEN: Final = "commas, semicolons or tabs between"
_QUOTED: Final = re.compile(r'"[^"]*"?')
_FIRST_SEPARATOR: Final = re.compile(r"[,;\t]")
_NUMBERED: Final = re.compile(r"^(\w+)\[\d+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a list asks for, as this section of a state file would say it, with the line of each name.

    `wrong` are the lines that say nothing which could be.
    """

    section: str
    contents: Sequence[dict[str, Any]]
    lines: Mapping[str, int]
    wrong: Sequence[Wrong] = ()

    def wrong_in(
        self, state: State, mint: Mint, wish: Callable[[Sequence[dict[str, Any]]], Wish]
    ) -> list[Wrong]:
        """Every line that is wrong, those included that ask for what cannot be in the directory as it is."""
        found = list(self.wrong)
        for line, content in zip(self.lines.values(), self.contents, strict=True):
            try:
                difference(state, wish([content])(state), mint)
            except (Conflict, InvalidParams) as error:
                told = type(error)(f"Line {line}: {error.message}", rule=error.rule)
                found.append(Wrong(line=line, refusal=told))
        return found

    def blamed(self, refusal: Refusal) -> Refusal:
        """The refusal with the line before it, where it tells of one of the list."""
        for name, line in self.lines.items():
            told = (
                f"{self.section} ({name})",
                f"{self.section}: {name!a}",
                f"There is a project {name} already",
            )
            if refusal.message.startswith(told):
                return type(refusal)(f"Line {line}: {refusal.message}", rule=refusal.rule)
        return refusal


def people_in(text: str) -> Listed:
    """People as lines of CSV: address, name and roles; a head line is not needed, roles are apart by blanks.

    Good: `ada@example.edu,Ada Byron,researcher lead`. Bad: a line without a name. Raises InvalidParams for a list
    without lines, or with too many.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    wrong: list[Wrong] = []
    for line, cells in _lines(text, _COLUMNS, wrong):
        if len(cells) < 2 or not cells[0] or not cells[1]:
            wrong.append(_wrong(line, f"Line {line} needs an address and a name, with {_BETWEEN}."))
            continue
        roles = [each for cell in cells[2:] for each in cell.replace(";", " ").split()]
        email = cells[0].lower()
        found.append((line, {"email": email, "name": cells[1], "roles": roles or [Role.RESEARCHER.value]}))
    return _listed("people", "email", found, wrong)


def projects_in(text: str) -> Listed:
    """Projects as lines of CSV: name, credential, reference, first and last day, lead, members, endpoints.

    A head line is not needed; members and endpoints are apart by blanks, `all` is every endpoint, the lead is a member.
    Good: `elections,main,R-2026-014,2026-01-01,2027-06-30,ada@example.edu,bob@example.edu,video/query user/info`. Bad: a
    line without endpoints. Raises InvalidParams for a list without lines, or with too many.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    wrong: list[Wrong] = []
    for line, cells in _lines(text, _PROJECT_COLUMNS, wrong):
        if len(cells) != len(_PROJECT_COLUMNS) or not cells[-1]:
            told = (
                f"Line {line} needs {', '.join(_PROJECT_COLUMNS)}, with {_BETWEEN}; the endpoints are names with "
                "blanks between, or all."
            )
            wrong.append(_wrong(line, told))
            continue
        try:
            found.append((line, _project_in(cells, line)))
        except InvalidParams as error:
            wrong.append(Wrong(line=line, refusal=error))
    return _listed("projects", "name", found, wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKeys:
    """The keys that a list asks for, and its lines that ask for none that could be."""

    keys: Sequence[WantedKey]
    wrong: Sequence[Wrong]


def keys_in(text: str) -> ListedKeys:
    """Keys as lines of CSV: project, person and the last day, which may be left out; a head line is not needed.

    Good: `elections,ada@example.edu,2027-06-30`. Bad: the same project and person twice, which nobody means. Raises
    InvalidParams for a list without lines, or with too many.
    """
    found: dict[tuple[str, str], WantedKey] = {}
    wrong: list[Wrong] = []
    for line, cells in _lines(text, _KEY_COLUMNS, wrong):
        if not 2 <= len(cells) <= 3 or not cells[0] or not cells[1]:
            wrong.append(_wrong(line, f"Line {line} needs {', '.join(_KEY_COLUMNS)}, with {_BETWEEN}."))
            continue
        project, email = cells[0], cells[1].lower()
        if (project, email) in found:
            wrong.append(_wrong(line, f"Line {line} asks for a second key of {email} in {project}."))
            continue
        last = cells[2] if len(cells) == 3 else ""
        try:
            expires = _day(last, line) if last else None
        except InvalidParams as error:
            wrong.append(Wrong(line=line, refusal=error))
            continue
        found[project, email] = WantedKey(project=project, email=email, expires=expires, line=line)
    return ListedKeys(keys=list(found.values()), wrong=wrong)


def _listed(
    section: str, naming: str, found: Sequence[tuple[int, dict[str, Any]]], wrong: list[Wrong]
) -> Listed:
    """The list, with the lines that alone are what a state file may say, and those that are `wrong`."""
    lines: dict[str, int] = {}
    contents = []
    for line, content in found:
        name = content[naming]
        if name in lines:
            wrong.append(_wrong(line, f"Line {line} names {name}, and so does line {lines[name]}."))
            continue
        try:
            checked({section: [content]})
        except InvalidParams as error:
            said = error.message.replace(f"{section}[0] ({name}).", "").replace(
                f"{section}[0] ({name}): ", ""
            )
            said = _NUMBERED.sub(r"\1", said)
            told = InvalidParams(f"Line {line}: {said}", rule=error.rule)
            wrong.append(Wrong(line=line, refusal=told))
            continue
        lines[name] = line
        contents.append(content)
    return Listed(section=section, contents=contents, lines=lines, wrong=wrong)


def _wrong(line: int, told: str) -> Wrong:
    return Wrong(line=line, refusal=InvalidParams(told))


def _lines(text: str, columns: Sequence[str], wrong: list[Wrong]) -> Iterator[tuple[int, list[str]]]:
    """Lines of CSV that say something, each with its number; the first that is no CSV ends them, as one that is wrong.

    Raises InvalidParams where they are none or too many.
    """
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n")
    rows = csv.reader(io.StringIO(plain), delimiter=_separator(plain), strict=True)
    count = 0
    try:
        for row in rows:
            cells = [each.strip() for each in row]
            if not any(cells) or tuple(each.lower() for each in cells[:2]) == tuple(columns[:2]):
                continue
            count += 1
            if count > MOST_ROWS:
                break
            yield rows.line_num, cells
    except csv.Error as error:
        wrong.append(_wrong(rows.line_num, f"Line {rows.line_num} is no CSV: {error}."))
        return
    if not 1 <= count <= MOST_ROWS:
        raise InvalidParams(f"Give 1 to {MOST_ROWS} lines, each with {', '.join(columns)}.")


def _separator(text: str) -> str:
    """What stands between columns: whichever may, and comes first in the first line, outside of quotes."""
    first = next((each for each in text.split("\n") if each.strip()), "")
    found = _FIRST_SEPARATOR.search(_QUOTED.sub("", first))
    return "," if found is None else found.group()


def _day(text: str, line: int) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidParams(f"Line {line}: a day is written such as 2027-06-30.") from error


def _project_in(cells: Sequence[str], line: int) -> dict[str, Any]:
    name, credential, reference, first, last, lead, members, endpoints = cells
    days = {"from": _day(first, line), "until": _day(last, line)}
    lead = lead.lower()
    people = [each for each in (*members.lower().replace(";", " ").split(), lead) if each]
    return {
        "name": name,
        "credential": credential,
        "approval": {"reference": reference, **days},
        "lead": lead or None,
        "members": list(dict.fromkeys(people)),
        "allow": {} if endpoints == "all" else {"endpoints": endpoints.replace(";", " ").split()},
    }
