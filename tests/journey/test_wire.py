"""Every spelling and every error of real clients, on every endpoint: bytes in, bytes out.

The three tables are read from top to bottom in `spellings`, `refusals` and `failures`. What whole crawls
bring stands in `test_wire_pages`; what becomes of the platform's oddities in `test_wire_oddities`; token
requests in `test_wire_tokens`.
"""

from collections.abc import Sequence

import pytest

from tests.journey.exchange import Outcome, Sent, assert_sound
from tests.journey.failures import FAILURES, Failing, of_its_own
from tests.journey.people import Cast
from tests.journey.questions import DOWNLOAD, HELD, Question
from tests.journey.refusals import REFUSALS, Refusal
from tests.journey.spellings import SPELLINGS, Spelling


def cases(lines: Sequence[Spelling] | Sequence[Refusal] | Sequence[Failing]) -> list[object]:
    return [
        pytest.param(line, name, id=f"{line.item}. {line.says}: {name}")
        for line in lines
        for name in line.where
    ]


@pytest.mark.parametrize(("line", "name"), cases(SPELLINGS))
def test_every_spelling_is_understood_as_the_question_that_it_means(
    cast: Cast, line: Spelling, name: str
) -> None:
    question = cast.question(name)
    plain = cast.ask(Question(name, line.plain(dict(question.body)), question.fields))
    sent = Question(name, line.sent(dict(question.body)), question.fields)
    headers = {
        "Authorization": f"{line.scheme} {cast.keys['elections']}",
        "Content-Type": line.content_type,
    }
    found = cast.wire.send(Sent(path=line.path(question.path), body=line.written(sent), headers=headers))
    assert (found.status, plain.status) == (200, 200), found.body
    assert_sound(found, is_file=name == DOWNLOAD)
    if name in HELD:
        assert (found.cache, found.cost, found.kinds) == ("hit", 0, "decision")
    else:
        assert (found.cache, found.cost, found.kinds) == ("fwd=bypass", 1, "intent outcome")
    assert found.body == plain.body if name == DOWNLOAD else found.data == plain.data


@pytest.mark.parametrize(("line", "name"), cases(REFUSALS))
def test_what_bursar_turns_down_is_told_in_the_platforms_shape_and_costs_nothing(
    cast: Cast, line: Refusal, name: str
) -> None:
    question = line.asks(cast.question(name))
    headers = {
        "Authorization": f"Bearer {cast.keys[line.project]}",
        "Content-Type": question.content_type,
        **line.headers,
    }
    body = question.encoded if line.body is None else line.body
    found = cast.wire.send(
        Sent(method=line.method, path=line.path(question.path), body=body, headers=headers)
    )
    assert (found.status, found.code) == (line.status, line.code), found.body
    assert line.message in found.message
    assert_sound(found)
    assert_wait(found, line.wait)
    assert (found.cost, found.kinds) == (0, "decision")
    assert found.headers["bursar-cost"] == "requests=0, records=0"
    decision = found.entries[0].says["decision"]
    assert (decision["verdict"], decision["code"]) == (
        "refused",
        line.code if line.status != 404 else "not_found",
    )


@pytest.mark.parametrize(("line", "name"), cases(FAILURES))
def test_what_fails_upstream_reaches_the_client_in_one_shape_and_in_the_platforms_words(
    cast: Cast, line: Failing, name: str
) -> None:
    project = of_its_own(line, name) if line.is_alone else "elections"
    question = line.asks(cast.question(name, project=project))
    if line.faults[0] == {"status": 401}:
        cast.ask(question.but(username="warm.up"), project=project)  # so that there is a token to lose
    for fault in line.faults:
        cast.wire.order(**{"endpoint": name, "next": 1, **fault})
    try:
        found = cast.ask(question, project=project)
    finally:
        cast.wire.behave()
    is_file = name == DOWNLOAD and found.status == 200
    assert (found.status, "ok" if is_file else found.code) == (line.status, line.code), found.body
    assert_sound(found, is_file=is_file)
    assert_wait(found, line.wait)
    assert (found.cost, found.kinds) == (line.cost, "intent outcome")
    assert found.headers["bursar-cost"].startswith(f"requests={line.cost}, ")
    if line.status == 200:
        assert found.cache == ("fwd=miss" if name in HELD else "fwd=bypass")
        again = cast.ask(question, project=project)
        assert (again.cache, again.cost) == (("hit", 0) if name in HELD else ("fwd=bypass", 1))
    elif line.message.endswith("..."):
        assert found.message.startswith(line.message.removesuffix("..."))
    else:
        assert found.message == line.message


def assert_wait(found: Outcome, wait: tuple[int, int] | None) -> None:
    assert ("retry-after" in found.headers) == (wait is not None)
    if wait is not None:
        assert wait[0] <= int(found.headers["retry-after"]) <= wait[1]
