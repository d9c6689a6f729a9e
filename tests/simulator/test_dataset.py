import time
from collections import Counter
from collections.abc import Callable

from app.simulator.dataset import REFERENCE_S, SPAN_S, Dataset, create_time, is_minor, is_private
from app.simulator.matching import find
from app.simulator.parsing import video_page
from app.simulator.videos import VIDEO_FIELDS, VideoRecords

DATA = Dataset(seed=1, videos=20_000)
RECORDS = [VideoRecords(DATA, nul_p=0).shown(p, sorted(VIDEO_FIELDS)) for p in range(2_000)]


def test_the_same_seed_gives_the_same_videos_and_another_seed_others() -> None:
    one, same, other = (Dataset(seed=seed, videos=500) for seed in (3, 3, 4))
    shown = [
        [VideoRecords(data, nul_p=0.1).shown(p, sorted(VIDEO_FIELDS)) for p in range(500)]
        for data in (one, same, other)
    ]
    assert shown[0] == shown[1]
    assert not {video["id"] for video in shown[0]} & {video["id"] for video in shown[2]}


def test_ids_descend_are_unique_and_carry_a_time_22_to_92_seconds_before_creation() -> None:
    ids = list(DATA.ids)
    assert ids == sorted(set(ids), reverse=True)
    assert {create_time(v) - (v >> 32) for v in ids} == set(range(22, 93))
    assert all(REFERENCE_S - SPAN_S <= create_time(v) < REFERENCE_S for v in ids)
    assert max(ids) < 2**63
    assert min(ids) > 2**53


def test_a_span_of_time_holds_exactly_its_videos() -> None:
    start_s, end_s = REFERENCE_S - 20 * 86_400, REFERENCE_S - 19 * 86_400
    expected = [p for p, v in enumerate(DATA.ids) if start_s <= create_time(v) < end_s]
    assert list(DATA.between(start_s, end_s)) == expected
    assert list(DATA.between(start_s, start_s + 30)) == [
        p for p, v in enumerate(DATA.ids) if start_s <= create_time(v) < start_s + 30
    ]
    assert list(DATA.between(0, 86_400)) == []


def test_authors_are_skewed_and_none_is_private_or_a_minor() -> None:
    counts = Counter(DATA.authors)
    top = sum(count for _, count in counts.most_common(DATA.author_count // 10))
    assert top > 0.3 * len(DATA)
    assert not any(is_private(author) or is_minor(author) for author in counts)
    assert max(counts) <= DATA.author_count


def test_regions_and_hashtags_are_weighted() -> None:
    regions = Counter(video["region_code"] for video in RECORDS)
    tags = Counter(tag for video in RECORDS for tag in video["hashtag_names"])
    assert regions.most_common(1)[0][0] == "US"
    assert [tag for tag, _ in tags.most_common(2)] == ["election", "climate"]
    assert any(not video["hashtag_names"] for video in RECORDS)


def test_every_record_is_marked_as_synthetic() -> None:
    assert all(video["username"].startswith("sim_user_") for video in RECORDS)
    assert all(video["video_description"].startswith("[sim]") for video in RECORDS)


def test_optional_keys_are_absent_at_times_and_key_order_varies() -> None:
    shares = {field: sum(field in video for video in RECORDS) / len(RECORDS) for field in VIDEO_FIELDS}
    assert 0.08 < shares["voice_to_text"] < 0.2
    assert 0.9 < shares["like_count"] < 1
    assert {f for f, share in shares.items() if share < 1} >= {"effect_ids", "playlist_id", "video_tag"}
    assert len({tuple(video) for video in RECORDS}) > len({frozenset(video) for video in RECORDS})


def test_captions_hold_emoji_and_right_to_left_text() -> None:
    text = "".join(video["video_description"] for video in RECORDS)
    assert set("🔥שם").issubset(text)
    assert "مرحبا" in text


def test_comments_are_mostly_few_and_at_most_fifteen_hundred() -> None:
    counts = sorted(DATA.comments)
    assert counts[0] == 0
    assert counts[len(counts) // 2] < 10
    assert 1_000 < counts[-1] <= 1_500


def test_some_captions_are_very_long() -> None:
    lengths = [len(video["video_description"]) for video in RECORDS]
    assert 1_000 < max(lengths) <= 2_200
    assert 5 < sum(length > 1_000 for length in lengths) < 50


def test_later_days_have_more_videos() -> None:
    day_s = 86_400
    last, first = (
        len(DATA.between(end_s - 40 * day_s, end_s))
        for end_s in (REFERENCE_S, REFERENCE_S - SPAN_S + 40 * day_s)
    )
    assert 2.5 < last / first < 4.5


def test_a_weeks_election_videos_from_the_us_fill_several_pages(
    record_property: Callable[[str, object], None],
) -> None:
    began_s = time.process_time()
    data = Dataset(seed=1, videos=100_000)
    record_property("data_set_cpu_s", time.process_time() - began_s)
    conditions = [
        {"field_name": "hashtag_name", "operation": "EQ", "field_values": ["election"]},
        {"field_name": "region_code", "operation": "EQ", "field_values": ["US"]},
    ]
    body = {"query": {"and": conditions}, "start_date": "20261001", "end_date": "20261007"}
    assert 200 < len(find(data, video_page(body).query)) < 1_000
