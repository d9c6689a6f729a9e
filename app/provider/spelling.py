"""One spelling for every single value that clients write in several ways.

Each reader takes a value from a parsed body and the name to blame in the message. All raise InvalidParams.
"""

import re
from datetime import date

from app.query import INT64_MAX, INT64_MIN, UINT64_MAX, malformed

_TASK_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
# A form carries a double as text, hence the optional zeros.
_INTEGER = re.compile(r"(-?[0-9]{1,19})(?:\.0{1,9})?", re.ASCII)
_DATE = re.compile(r"[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EXACT_DOUBLE_MAX = 2**53
_SHOWN_CHARS = 60


def shown(value: object) -> str:
    """`value` for a message: quoted, on one line, shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def whole_number(value: object, name: str) -> int:
    """A non-negative int64: good are 100, "100", 100.0, "100.0"; bad are True, 1.5, -1, "ten"."""
    number = _as_integer(value, name)
    if number < 0:
        raise malformed(f"{name} is {number}; it must not be negative.")
    return number


def identifier(value: object, name: str) -> int:
    """A positive int64 id: good are 7612345678901234567 and "7612345678901234567"; bad is 7.6e18."""
    _refuse_lost_digits(value, name)
    number = whole_number(value, name)
    if number == 0:
        raise malformed(f"{name} is 0; it must be the id of an existing object.")
    return number


def task_id(value: object) -> int:
    """A positive unsigned 64-bit id: the documents' sample of a task is above 2^63 (facts, section 2.11)."""
    _refuse_lost_digits(value, "task_id")
    if isinstance(value, str) and _TASK_DIGITS.fullmatch(value) is not None:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= UINT64_MAX:
        raise malformed(
            f"task_id is {shown(value)}; send the number that validation_task/create answered, unchanged."
        )
    return value


def search_id(value: object) -> str | None:
    """The digits of a search id as sent; None when null or empty."""
    if value is None or value == "":
        return None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or _DIGITS.fullmatch(text) is None or int(text) > INT64_MAX:
        raise malformed(
            f"search_id is {shown(value)}; send the decimal digits of the last answer's search_id unchanged, "
            "or leave it out to start a new search."
        )
    return text


def flag(value: object, name: str) -> bool:
    """A bool: good are true, "true", "TRUE", "False"; null is false; bad are 1 and "yes"."""
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise malformed(f"{name} is {shown(value)}; it must be true or false.")


def day(value: object, name: str) -> date:
    """A calendar day: good are "20260301", "2026-03-01", 20260301; bad are "20260230", "1/3/2026"."""
    text = value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value):
        text = str(int(value))
    if isinstance(text, str) and _DATE.fullmatch(text) is not None:
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise malformed(
        f"{name} is {shown(value)}; it must be an existing UTC date written YYYYMMDD, such as 20260301."
    )


def compact(when: date) -> str:
    """A calendar day as the platform documents it, YYYYMMDD."""
    return when.isoformat().replace("-", "")  # strftime would drop the zeros of years before 1000


def compact_day(value: object, name: str) -> str:
    """A calendar day in any accepted spelling, as YYYYMMDD."""
    return compact(day(value, name))


def integer_text(value: object, name: str) -> str:
    """An int64 as text without leading zeros, for condition values: good are "10000", 10000, -1."""
    _refuse_lost_digits(value, name)
    return str(_as_integer(value, name))


def digits_text(value: object, name: str) -> str:
    """A non-negative int64 as text without leading zeros, for ids in condition values."""
    _refuse_lost_digits(value, name)
    return str(whole_number(value, name))


def text_value(value: object, name: str) -> str:
    """A non-empty string; numbers become their digits, since some clients send them bare."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(_as_integer(value, name))
    raise malformed(f"{name} holds {shown(value)}; it must be a non-empty string.")


def _refuse_lost_digits(value: object, name: str) -> None:
    # A double above 2^53 has already been rounded, so it would name another object.
    if isinstance(value, float) and abs(value) > _EXACT_DOUBLE_MAX:
        raise malformed(
            f"{name} was sent as a floating-point number and has lost digits; send it as a digit string."
        )


def _as_integer(value: object, name: str) -> int:
    if isinstance(value, bool):
        pass
    elif isinstance(value, int):
        if INT64_MIN <= value <= INT64_MAX:
            return value
    elif isinstance(value, float):
        if value.is_integer() and INT64_MIN <= value <= INT64_MAX:
            return int(value)
    elif isinstance(value, str) and (match := _INTEGER.fullmatch(value)) is not None:
        number = int(match[1])
        if INT64_MIN <= number <= INT64_MAX:
            return number
    raise malformed(f"{name} is {shown(value)}; it must be a whole number inside 64 bits.")
