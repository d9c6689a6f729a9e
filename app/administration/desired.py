"""The state file as it is written: every key known, every value of the right kind, or its place is named."""

import datetime as dt
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    field_validator,
    model_validator,
)

from app.administration.credentials import check_base_url
from app.administration.durations import seconds_in, spelled
from app.cache.lifetimes import EVERY_ENDPOINT
from app.errors import InvalidParams
from app.identity.roles import Role
from app.policy.engine import Mode
from app.policy.rules import ALL_RULES
from app.policy.values import ROSTER_PEOPLE, VALUES
from app.provider.endpoints import ENDPOINTS
from app.provider.questions import CONDITION_FIELDS, MAX_SPAN_DAYS
from app.quota.arithmetic import Dimension, Window, parse_limit_key

RULE: Final = "state-file"
MOST_PEOPLE_WITHOUT_PERMISSION: Final = ROSTER_PEOPLE.default
"""Principal and at most nine collaborators."""

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,255}")
_OBJECT: Final = re.compile(r"^(?:credentials|terms|people|projects)(?:\[0\])?(?: \([^)]*\))?(?:\.|$)")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MESSAGES: Final[Mapping[str, str]] = {
    "extra_forbidden": "this key is not known",
    "string_type": "input should be a valid string (put it in quotes)",
    "tuple_type": "input should be a list",
    "model_type": "input should have keys of its own",
}
"""In place of pydantic's own, which name its classes."""
_YAML_BOOL: Final = "tag:yaml.org,2002:bool"
_MOST_NAME_CHARS: Final = 100
LARGEST_AMOUNT: Final = 2**53 - 1
"""Of a limit or a raise: the largest whole number that every client of JSON reads exactly (RFC 8259, section 6)."""
_SHORTEST_LIFETIME_S: Final = 60
_LONGEST_LIFETIME_S: Final = 30 * 86_400

LimitKey = tuple[Dimension, Window | None]


class Malformed(InvalidParams):
    """What does not hold of a state file, or of what was put as one; `problems` are places with what is wrong there."""

    def __init__(self, message: str, *, rule: str = RULE, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message, rule=rule)
        self.problems = tuple(problems)

    @classmethod
    def at(cls, problems: Sequence[tuple[str, str]]) -> Self:
        """The refusal for these problems."""
        told = (f"{place}: {said}" if place else said for place, said in problems)
        return cls("; ".join(told), problems=problems)

    def of_one(self) -> Self:
        """The same for whoever spoke about one object alone, without its place: `name`, not `people[0] (ada).name`."""
        if not self.problems:
            return self
        return self.at([(_OBJECT.sub("", place), said) for place, said in self.problems])


def malformed(place: str, said: str) -> Malformed:
    """The refusal of a state file, naming the place in it."""
    return Malformed.at([(place, said)])


def check_email(text: str) -> str:
    """The address in lower case. Good: `Ada@example.edu`. Bad: `ada`. Raises ValueError."""
    address = text.strip().lower()
    if _EMAIL.fullmatch(address) is None:
        raise ValueError(f"{text!r} is not an e-mail address")
    return address


def check_name(text: str) -> str:
    """The name, if it is printable and at most 100 characters long. Raises ValueError."""
    if not text.isprintable() or text != text.strip() or not 1 <= len(text) <= _MOST_NAME_CHARS:
        raise ValueError(f"a name is printable, 1 to {_MOST_NAME_CHARS} characters, without blanks around it")
    return text


def check_version(text: str) -> str:
    """The version. Good: `2024-10`. Bad: `of 2024`. Raises ValueError."""
    if _VERSION.fullmatch(text) is None:
        raise ValueError(
            "a version has 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or a digit"
        )
    return text


def rule_id(name: str) -> str:
    """The rule's id with its version. Good: `date-span/1`, `date-span`. Bad: `date-span/0`. Raises ValueError."""
    for each in ALL_RULES:
        if name in {each.id, each.id.partition("/")[0]}:
            return each.id
    raise ValueError(f"{name} is no rule; rules are {', '.join(each.id for each in ALL_RULES)}")


def require_stated(name: str) -> None:
    """Return if `name` is a dated value that may be stated; raises ValueError."""
    if name not in VALUES or not VALUES[name].is_stated:
        known = ", ".join(each.name for each in VALUES.values() if each.is_stated)
        raise ValueError(f"{name} is no value that can be stated; such values are {known}")


def require_permission(roster_limit: int, *, is_given: bool) -> None:
    """Return if so many people may use one credential; raises ValueError where that takes a permission."""
    if roster_limit > MOST_PEOPLE_WITHOUT_PERMISSION and not is_given:
        raise ValueError(
            f"a roster_limit above {MOST_PEOPLE_WITHOUT_PERMISSION} needs permission: {{reference: ..., file: ...}}"
        )


def _read_limits(amounts: object) -> dict[LimitKey, int]:
    if not isinstance(amounts, Mapping):
        raise ValueError("limits are written {requests/day: 100, ...}")  # noqa: TRY004 - pydantic's way
    found: dict[LimitKey, int] = {}
    for key, amount in amounts.items():
        limit_key = parse_limit_key(str(key))
        if type(amount) is not int or not 0 <= amount <= LARGEST_AMOUNT:
            raise ValueError(f"{key} must be a whole number from 0 on")
        found[limit_key] = amount
    return found


def _read_lifetimes(times: object) -> dict[str, int]:
    if not isinstance(times, Mapping):
        raise ValueError("times are written {user/info: 6h, default: 1d}")  # noqa: TRY004 - pydantic's way
    found: dict[str, int] = {}
    for name, written in times.items():
        _require_known(str(name), (EVERY_ENDPOINT, *ENDPOINTS), "endpoint")
        seconds = seconds_in(written)
        if 0 < seconds < _SHORTEST_LIFETIME_S or seconds > _LONGEST_LIFETIME_S:
            raise ValueError(f"{name} must be 0, for never, or from 1m to {spelled(_LONGEST_LIFETIME_S)}")
        found[str(name)] = seconds
    return {name: found[name] for name in sorted(found)}


def _as_text(value: object) -> object:
    # YAML reads ids as numbers, and bare words such as NO as false; only the former has one meaning.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, AfterValidator(check_name)]
Email = Annotated[str, AfterValidator(check_email)]
Limits = Annotated[Mapping[LimitKey, int], PlainValidator(_read_limits)]
Lifetimes = Annotated[Mapping[str, int], PlainValidator(_read_lifetimes)]
ReuseStep = Literal["full-pages", "wide-fields", "containment", "records"]
Text = Annotated[str, Field(min_length=1)]
Version = Annotated[str, AfterValidator(check_version)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Permission(_Model):
    """The platform's written leave for more than ten people."""

    reference: Text
    file: Text | None = None


class DesiredCredential(_Model):
    """An upstream credential; the secret itself stands in a file or in a variable, never here."""

    name: Name
    base_url: Annotated[str, AfterValidator(check_base_url)] = "https://open.tiktokapis.com"
    client_key: Text
    client_secret_file: Text | None = None
    client_secret_env: Text | None = None
    limits: Limits = {}
    roster_limit: Annotated[int, Field(ge=1, le=10_000)] = MOST_PEOPLE_WITHOUT_PERMISSION
    permission: Permission | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> "DesiredCredential":
        if (self.client_secret_file is None) == (self.client_secret_env is None):
            raise ValueError("give either client_secret_file or client_secret_env")
        require_permission(self.roster_limit, is_given=self.permission is not None)
        return self


class DesiredTerms(_Model):
    """A version of the platform's terms, with its text in a file."""

    version: Version
    title: Text
    text_file: Text
    source: Text | None = None
    in_force_from: dt.date
    grace_days: Annotated[int, Field(ge=0, le=366)] = 0


class DesiredValue(_Model):
    """What the institution's own terms say of a dated value, from a day on, and where they say it."""

    from_day: Annotated[dt.date, Field(alias="from")]
    value: Annotated[int, Field(strict=True, ge=1, le=3_660)]
    source: Text


class DesiredAcceptance(_Model):
    """That a person accepted a version on a day, with the evidence."""

    version: Version
    on: dt.date
    evidence_file: Text


class DesiredPerson(_Model):
    """A human being and their roles."""

    email: Email
    name: Name
    roles: tuple[Role, ...] = ()
    accepted: tuple[DesiredAcceptance, ...] = ()
    returning: bool = False
    """Whether they are who had this address before they were retired, rather than somebody else."""


class Approval(_Model):
    """What the platform approved, and when; both days included."""

    reference: Text
    from_day: Annotated[dt.date, Field(alias="from")]
    until_day: Annotated[dt.date, Field(alias="until")]

    @model_validator(mode="after")
    def _in_order(self) -> "Approval":
        if self.until_day < self.from_day:
            raise ValueError("until lies before from")
        return self


class DesiredMember(_Model):
    """A person in a project, written as an e-mail address alone or with days and limits."""

    email: Email
    from_day: Annotated[dt.date | None, Field(alias="from")] = None
    until_day: Annotated[dt.date | None, Field(alias="until")] = None
    limits: Limits = {}

    @model_validator(mode="before")
    @classmethod
    def _bare_address(cls, value: Any) -> Any:
        return {"email": value} if isinstance(value, str) else value


class Dates(_Model):
    """The days that the proposal covers, both included; one that is absent is open."""

    from_day: Annotated[dt.date | None, Field(alias="from")] = None
    until_day: Annotated[dt.date | None, Field(alias="until")] = None

    @model_validator(mode="after")
    def _in_order(self) -> "Dates":
        if self.from_day and self.until_day and self.until_day < self.from_day:
            raise ValueError("until lies before from")
        return self

    def as_stored(self) -> dict[str, str]:
        """The days that are bound, as ISO dates."""
        days = {"from": self.from_day, "until": self.until_day}
        return {name: day.isoformat() for name, day in days.items() if day is not None}


class Allow(_Model):
    """What the proposal asked for; what is absent is not bounded."""

    endpoints: tuple[str, ...] | None = None
    fields: dict[str, tuple[str, ...]] = {}
    conditions: dict[str, tuple[Annotated[str, BeforeValidator(_as_text)], ...]] = {}
    dates: Dates | None = None
    max_span_days: Annotated[int | None, Field(strict=True, ge=0, le=MAX_SPAN_DAYS)] = None

    @field_validator("endpoints")
    @classmethod
    def _known_endpoints(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            _require_known(name, ENDPOINTS, "endpoint")
        return value

    @field_validator("fields")
    @classmethod
    def _known_fields(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, fields in value.items():
            _require_known(name, ENDPOINTS, "endpoint")
            for each in fields:
                _require_known(each, ENDPOINTS[name].fields, f"field of {name}")
        return value

    @field_validator("conditions")
    @classmethod
    def _known_conditions(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name in value:
            _require_known(name, CONDITION_FIELDS, "condition")
        return value

    def as_stored(self) -> dict[str, Any]:
        """The bounds in the order of their names, so that the order in the file is no difference."""
        stored: dict[str, Any] = {}
        if self.endpoints is not None:
            stored["endpoints"] = sorted(set(self.endpoints))
        if self.fields:
            stored["fields"] = {name: sorted(set(self.fields[name])) for name in sorted(self.fields)}
        if self.conditions:
            stored["conditions"] = {
                name: sorted(set(self.conditions[name])) for name in sorted(self.conditions)
            }
        if self.dates is not None and self.dates.as_stored():
            stored["dates"] = self.dates.as_stored()
        if self.max_span_days is not None:
            stored["max_span_days"] = self.max_span_days
        return stored


class Reuse(_Model):
    """When held answers of a project may be used; what is absent is as usual."""

    cache_control: Literal["honour", "ignore"] = "honour"
    stale: Annotated[bool, Field(strict=True)] = False
    lifetimes: Lifetimes = {}
    recent_lifetimes: Lifetimes = {}
    without: tuple[ReuseStep, ...] = ()

    def as_stored(self) -> dict[str, Any]:
        """What differs from the usual, so that saying the usual is no difference."""
        chosen: dict[str, Any] = {}
        if self.cache_control == "ignore":
            chosen["cache_control"] = self.cache_control
        if self.stale:
            chosen["stale"] = True
        if self.lifetimes:
            chosen["lifetimes"] = dict(self.lifetimes)
        if self.recent_lifetimes:
            chosen["recent_lifetimes"] = dict(self.recent_lifetimes)
        if self.without:
            chosen["without"] = sorted(set(self.without))
        return chosen


class DesiredProject(_Model):
    """One approved proposal under one credential."""

    name: Name
    credential: Name
    approval: Approval
    lead: Email | None = None
    members: tuple[DesiredMember, ...] = ()
    cache_scope: Literal["project", "credential"] = "project"
    allow: Allow = Allow()
    reuse: Reuse = Reuse()
    limits: Limits = {}
    member_limits: Limits = {}
    floors: Limits = {}
    """Shares of the credential's day that other projects cannot take."""

    @model_validator(mode="after")
    def _lead_is_member(self) -> "DesiredProject":
        if self.lead is not None and self.lead not in {member.email for member in self.members}:
            raise ValueError(f"the lead, {self.lead}, must be one of the members; add them to members")
        return self


class StateFile(_Model):
    """The whole file; a section that is absent is not spoken about."""

    credentials: tuple[DesiredCredential, ...] | None = None
    terms: tuple[DesiredTerms, ...] | None = None
    people: tuple[DesiredPerson, ...] | None = None
    projects: tuple[DesiredProject, ...] | None = None
    rules: dict[str, Mode] | None = None
    values: dict[str, tuple[DesiredValue, ...]] | None = None

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, value: dict[str, Mode] | None) -> dict[str, Mode] | None:
        if value is None:
            return None
        _require_once("rules", (rule_id(name) for name in value))
        return {rule_id(name): mode for name, mode in value.items()}

    @field_validator("values")
    @classmethod
    def _known_values(
        cls, value: dict[str, tuple[DesiredValue, ...]] | None
    ) -> dict[str, tuple[DesiredValue, ...]] | None:
        for name, stated in (value or {}).items():
            require_stated(name)
            _require_once(f"values of {name}", (each.from_day.isoformat() for each in stated))
        return value

    @model_validator(mode="after")
    def _each_once(self) -> "StateFile":
        _require_once("credentials", (each.name for each in self.credentials or ()))
        _require_once("terms", (each.version for each in self.terms or ()))
        _require_once("people", (each.email for each in self.people or ()))
        _require_once("projects", (each.name for each in self.projects or ()))
        for project in self.projects or ():
            _require_once(f"members of project {project.name}", (each.email for each in project.members))
        for person in self.people or ():
            _require_once(f"accepted of {person.email}", (each.version for each in person.accepted))
        return self


def parse_state_file(text: str) -> StateFile:
    """The state file in `text`. Raises InvalidParams, which names the place and repeats no secret."""
    content = read_yaml(text)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise malformed(
            "", "a state file has the sections credentials, terms, people, projects, rules and values"
        )
    return checked(content)


def read_yaml(text: str) -> Any:
    """What YAML, or JSON, says, by the rules of state files. Raises InvalidParams with the line."""
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader underneath
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
        raise malformed(where, f"this is no YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise malformed("", "this is no YAML") from None


def checked(content: Mapping[str, Any]) -> StateFile:
    """What a state file would say that holds this. Raises InvalidParams, which names the place."""
    try:
        return StateFile.model_validate(content)
    except ValidationError as error:
        raise _explained(error, content) from None


def checked_reuse(content: Mapping[str, Any]) -> Reuse:
    """What a state file would say under a project's `reuse`. Raises InvalidParams, which names the place."""
    try:
        return Reuse.model_validate(content)
    except ValidationError as error:
        raise _explained(error, content) from None


class _StrictLoader(yaml.SafeLoader):
    """YAML with the booleans of version 1.2, and without keys that are written twice.

    Under version 1.1 the key `on` is true and the region NO is false.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set[object]()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is written twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != _YAML_BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    _YAML_BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _explained(error: ValidationError, content: Mapping[str, Any]) -> Malformed:
    problems = []
    for each in error.errors(include_input=False, include_url=False):
        said = _MESSAGES.get(each["type"]) or each["msg"].removeprefix("Value error, ").removesuffix(".")
        problems.append((_place(each["loc"], content), f"{said[0].lower()}{said[1:]}"))
    return Malformed.at(problems[:5])


def _place(location: tuple[int | str, ...], content: Any) -> str:
    """`projects[0] (elections).approval.until`: where in the file, with the name of what stands there."""
    place, here = "", content
    for step in location:
        if isinstance(step, int):
            here = here[step] if isinstance(here, (list, tuple)) and step < len(here) else None
            name = (
                next(
                    (here[key] for key in ("email", "name", "version") if isinstance(here.get(key), str)),
                    None,
                )
                if isinstance(here, dict)
                else None
            )
            place += f"[{step}]" + (f" ({name})" if name else "")
        else:
            here = here.get(step) if isinstance(here, dict) else None
            place += f".{step}" if place else step
    return place


def _require_known(name: str, known: Iterable[str], kind: str) -> None:
    if name not in known:
        raise ValueError(f"{name} is no {kind}; known are {', '.join(sorted(known))}")


def _require_once(where: str, names: Iterable[str]) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise ValueError(f"{where}: {name} stands there twice")
        seen.add(name)
