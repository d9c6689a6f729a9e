from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.provider.spans import Span
from app.quota.estimate import (
    Asked,
    Basis,
    Confidence,
    Held,
    Known,
    Range,
    because,
    confidence_of,
    price,
)
from app.quota.tallies import Crawl, Tally, Topic

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
JUNE = Span(date(2026, 6, 1), date(2026, 6, 30))
JULY = Span(date(2026, 7, 1), date(2026, 7, 30))
NOTHING_HELD = Held()


def asked(span: Span | None = JUNE, *, size: int = 100, reach: int | None = None) -> Asked:
    return Asked(span=span, size=size, most_records=size, reach=reach)


def tally(
    name: str,
    span: Span | None,
    *,
    positions: int,
    records: int | None = None,
    is_whole: bool = True,
    oldest: date | None = None,
    calls: int | None = None,
    at_us: int = NOW_US,
) -> Tally:
    pages = max(1, -(-positions // 100))
    crawl = Crawl(
        fields=("id",),
        size=100,
        place=None if is_whole else positions,
        pages=pages,
        positions=positions,
        records=positions if records is None else records,
        oldest_s=None
        if oldest is None
        else int(datetime.combine(oldest, datetime.min.time(), UTC).timestamp()),
        at_us=at_us,
    )
    topic = Topic(question=name, conditions="c", scope="project:p", endpoint="video/query", span=span)
    return Tally(
        topic=topic, calls=calls or pages, answers=pages, last=crawl, whole=crawl if is_whole else None
    )


def known(
    *,
    held: Held = NOTHING_HELD,
    same: Tally | None = None,
    kin: Sequence[Tally] = (),
    history: Sequence[Tally] = (),
) -> Known:
    return Known(held=held, same=same, kin=kin, history=history or kin, now_us=NOW_US)


def test_what_is_wholly_held_costs_nothing() -> None:
    held = Held(pages=3, positions=240, records=240, is_complete=True)
    found = price(asked(), known(held=held))
    assert (found.requests, found.records) == (Range(0, 0, 0), Range(0, 0, 0))
    assert (found.basis, found.confidence) == (Basis.HELD, Confidence.HIGH)


def test_a_single_call_costs_one_request_and_at_most_what_it_can_bring() -> None:
    found = price(Asked(span=None, size=None, most_records=1, reach=None), known())
    assert (found.requests, found.records) == (Range(1, 1, 1), Range(0, 1, 1))
    assert (found.basis, found.confidence) == (Basis.ONE_CALL, Confidence.HIGH)


def test_days_that_have_not_come_cost_the_one_call_that_finds_nothing() -> None:
    december = Span(date(2026, 12, 1), date(2026, 12, 30))
    found = price(asked(december), known(kin=[tally("kin", JUNE, positions=900)]))
    assert (found.requests, found.records, found.basis) == (Range(1, 1, 1), Range(0, 0, 0), Basis.ONE_CALL)


def test_the_same_question_is_expected_to_bring_what_it_brought() -> None:
    found = price(asked(), known(same=tally("same", JUNE, positions=950)))
    assert (found.requests, found.basis) == (Range(10, 10, 10), Basis.SAME_QUESTION)
    assert found.records.likely == 950
    assert found.confidence is Confidence.HIGH


def test_the_same_question_in_smaller_pages_takes_more_of_them() -> None:
    found = price(asked(size=20), known(same=tally("same", JUNE, positions=950)))
    assert found.requests.likely == 48


def test_an_old_count_is_less_sure_than_a_new_one() -> None:
    half_a_year_us = 180 * 86_400 * 1_000_000
    window = Span(date(2025, 6, 1), date(2025, 6, 30))
    new = price(asked(window), known(same=tally("same", window, positions=950)))
    old = price(
        asked(window), known(same=tally("same", window, positions=950, at_us=NOW_US - half_a_year_us))
    )
    assert old.requests.low < new.requests.low
    assert old.records.likely < new.records.likely


def test_a_count_taken_before_the_days_were_over_leaves_room_for_what_came_since() -> None:
    window = Span(NOW.date() - timedelta(days=19), NOW.date())
    ten_days_us = 10 * 86_400 * 1_000_000
    found = price(asked(window), known(same=tally("same", window, positions=800, at_us=NOW_US - ten_days_us)))
    assert found.requests.low <= 8 < found.requests.likely < found.requests.high


def test_a_part_of_a_question_tells_the_whole_by_how_far_back_it_reaches() -> None:
    half = tally("same", JUNE, positions=500, is_whole=False, oldest=date(2026, 6, 16))
    held = Held(
        pages=5, positions=500, records=500, oldest_s=half.last.oldest_s if half.last else None, at_us=NOW_US
    )
    found = price(asked(), known(held=held, same=half, kin=[half]))
    assert found.basis is Basis.SAME_QUESTION
    assert found.requests.likely in {5, 6}
    assert found.requests.low >= 2
    assert found.requests.high <= 12


def test_the_same_conditions_on_other_days_bring_as_much_a_day() -> None:
    found = price(asked(), known(kin=[tally("july", JULY, positions=900)]))
    assert found.basis is Basis.OTHER_DATES
    assert found.requests.likely == 9
    assert found.requests.low < 9 < found.requests.high


def test_days_that_are_nearer_count_for_more() -> None:
    far = tally("far", Span(date(2025, 1, 1), date(2025, 1, 30)), positions=3_000)
    near = tally("near", JULY, positions=300)
    assert price(asked(), known(kin=[far, near])).requests.likely == 4


def test_what_is_further_away_is_less_sure() -> None:
    near = price(asked(), known(kin=[tally("a", JULY, positions=900)]))
    far = price(asked(), known(kin=[tally("a", Span(date(2025, 1, 1), date(2025, 1, 30)), positions=900)]))
    assert far.requests.high > near.requests.high
    assert far.requests.low < near.requests.low


def test_conditions_that_found_nothing_may_still_find_a_little() -> None:
    found = price(asked(), known(kin=[tally("july", JULY, positions=0)]))
    assert found.requests == Range(1, 1, 1)
    assert found.records.low == 0
    assert found.records.high >= 3


def test_a_few_other_questions_of_the_project_say_nothing_and_some_say_a_little() -> None:
    others = [tally(f"{n}", JULY, positions=100 * n) for n in range(1, 6)]
    assert price(asked(), known(history=others[:3])).basis is Basis.DEFAULT
    found = price(asked(), known(history=others))
    assert (found.basis, found.confidence) == (Basis.HISTORY, Confidence.LOW)
    assert found.requests.low == 1
    assert found.requests.likely == 4
    assert found.requests.high >= 6


def test_where_nothing_is_known_the_plan_says_so() -> None:
    found = price(asked(), known())
    assert (found.basis, found.confidence) == (Basis.DEFAULT, Confidence.LOW)
    assert found.requests == Range(1, 10, 1_000)
    assert "first page" in because(found.basis, found.confidence)


def test_a_list_ends_where_the_platform_ends_it() -> None:
    found = price(asked(None, reach=1_000), known())
    assert (found.basis, found.requests.low, found.requests.high) == (Basis.DEFAULT, 1, 10)


def test_a_profile_tells_the_length_of_a_list() -> None:
    counted = Asked(span=None, size=100, most_records=100, reach=5_000, expected=800)
    found = price(counted, known())
    assert (found.basis, found.requests.likely) == (Basis.PROFILE, 8)
    endless = Asked(span=None, size=100, most_records=100, reach=5_000, expected=900_000)
    assert price(endless, known()).requests == Range(50, 50, 50)


def test_calls_that_failed_before_are_expected_to_fail_again() -> None:
    others = [tally(f"{n}", JULY, positions=900, calls=12) for n in range(6)]
    failing = price(asked(), known(same=tally("same", JUNE, positions=950), history=others))
    assert failing.requests.low == 10
    assert failing.requests.likely == 13
    assert failing.requests.high > 13


def test_short_pages_take_as_many_requests_and_bring_fewer_records() -> None:
    short = [tally("july", JULY, positions=1_000, records=500, is_whole=False, oldest=JULY.first)]
    found = price(asked(), known(kin=short))
    assert found.requests.likely == 10
    assert found.records.likely == pytest.approx(found.requests.likely * 50, rel=0.1)


@pytest.mark.parametrize(
    ("basis", "requests", "told"),
    [
        (Basis.SAME_QUESTION, Range(10, 11, 14), Confidence.HIGH),
        (Basis.SAME_QUESTION, Range(10, 20, 32), Confidence.MEDIUM),
        (Basis.OTHER_DATES, Range(10, 20, 33), Confidence.LOW),
        (Basis.HISTORY, Range(1, 1, 1), Confidence.LOW),
    ],
)
def test_a_price_is_as_sure_as_its_basis_and_its_range(
    basis: Basis, requests: Range, told: Confidence
) -> None:
    assert confidence_of(basis, requests) is told
    assert because(basis, told).endswith(".")


def test_every_basis_and_confidence_has_a_sentence() -> None:
    for basis in Basis:
        for confidence in Confidence:
            assert because(basis, confidence)[0].isupper()


COUNTS = st.integers(0, 20_000)


@given(
    same=st.none() | st.tuples(COUNTS, st.booleans()),
    kin=st.lists(st.tuples(COUNTS, st.integers(0, 300)), max_size=4),
    held_pages=st.integers(0, 5),
    size=st.sampled_from([1, 20, 100]),
    share=st.floats(0, 1),
)
def test_a_price_is_a_range_that_holds_together(
    same: tuple[int, bool] | None,
    kin: list[tuple[int, int]],
    held_pages: int,
    size: int,
    share: float,
) -> None:
    def counted(name: str, span: Span, positions: int, *, is_whole: bool = True) -> Tally:
        records = int(positions * share)
        return tally(name, span, positions=positions, records=records, is_whole=is_whole, oldest=span.last)

    others = [
        counted(
            f"{n}", Span(JUNE.first + timedelta(days=shift), JUNE.last + timedelta(days=shift)), positions
        )
        for n, (positions, shift) in enumerate(kin)
    ]
    own = None if same is None else counted("same", JUNE, same[0], is_whole=same[1])
    positions = held_pages * size
    held = Held(pages=held_pages, positions=positions, records=int(positions * share), at_us=NOW_US)
    found = price(asked(size=size), known(held=held, same=own, kin=others))
    for amount in (found.requests, found.records):
        assert 0 <= amount.low <= amount.likely <= amount.high
    assert found.requests.low >= 1
    assert found.records.high <= found.requests.high * size
