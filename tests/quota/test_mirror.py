"""The platform's own word on its budget: what holds when, and how often it is doubted."""

from datetime import UTC, date, datetime, timedelta

import pytest

from app.quota.mirror import Closed, Mirror, Open, Probe, believed, look

DAY = date(2028, 2, 29)
NOON = datetime(2028, 2, 29, 12, tzinfo=UTC)
SAID = believed(None, day=DAY, now=NOON, counted_calls=700, counted_records=60_000)


def test_nothing_is_closed_before_the_platform_says_so() -> None:
    assert look(None, days=(DAY,), now=NOON) == Open()


@pytest.mark.parametrize(("minutes", "expected"), [(0, Closed), (14, Closed), (15, Probe), (60 * 11, Probe)])
def test_the_first_probe_goes_after_a_quarter_of_an_hour(minutes: int, expected: type) -> None:
    assert isinstance(look(SAID, days=(DAY,), now=NOON + timedelta(minutes=minutes)), expected)


def test_the_word_holds_for_its_own_day_alone() -> None:
    tomorrow = DAY + timedelta(days=1)
    assert isinstance(look(SAID, days=(DAY, tomorrow), now=NOON), Closed)
    assert look(SAID, days=(tomorrow,), now=NOON) == Open()


def test_probes_become_rarer_and_a_day_has_few() -> None:
    mirror, now, gaps = SAID, NOON.replace(hour=0), []
    mirror = believed(None, day=DAY, now=now, counted_calls=0, counted_records=0)
    while now < NOON.replace(hour=23, minute=59):
        match look(mirror, days=(DAY,), now=now):
            case Probe(mirror=renewed):
                gaps.append(renewed.next_probe_at - now)
                mirror = renewed
            case _:
                pass
        now += timedelta(minutes=1)
    assert gaps[:3] == [timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2)]
    assert max(gaps) == timedelta(hours=2)
    assert len(gaps) <= 14


def test_hearing_it_again_keeps_what_was_counted_first() -> None:
    later = NOON + timedelta(hours=1)
    again = believed(SAID, day=DAY, now=later, counted_calls=999, counted_records=0)
    assert again == SAID
    new_day = believed(SAID, day=DAY + timedelta(days=1), now=later, counted_calls=1, counted_records=2)
    assert new_day == Mirror(
        day=DAY + timedelta(days=1),
        said_at=later,
        counted_calls=1,
        counted_records=2,
        probes=0,
        next_probe_at=later + timedelta(minutes=15),
    )
