"""Video records as the platform shows them, made from the columns and the bits of the id when asked for."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from app.simulator.dataset import EFFECT_IDS, MUSIC_IDS, REGIONS, Dataset, create_time, username
from app.simulator.vocabulary import HASHTAGS, PHRASES

VIDEO_FIELDS = frozenset(
    {
        "id", "create_time", "username", "region_code", "video_description", "music_id", "like_count",
        "comment_count", "share_count", "view_count", "favorites_count", "effect_ids", "effect_info_list",
        "hashtag_names", "hashtag_info_list", "sticker_info_list", "video_mention_list", "video_label",
        "video_tag", "playlist_id", "voice_to_text", "is_stem_verified", "video_duration",
    }
)  # fmt: skip
"""Facts 2.2, complete list of 2026-09."""

_CACHED_RECORDS = 20_000
_LONGEST_CAPTION = 2_200
_LONG_SHARE = 0.01
"""Some captions are very long (facts 8.2); length in characters and share are guesses."""
PLAYLISTS_EACH = 2
_FIRST_PLAYLIST = 7_200_000_000_000_000_000
_PLAYLIST_STEP = 1_000_003
_MASK = 0xFFFFFFFFFFFFFFFF


def mixed(value: int) -> int:
    """64 well spread bits of a 64-bit value (the finaliser of SplitMix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def chance(value: int, p: float) -> bool:
    """True for a share `p` of all values, always the same for one value."""
    return p > 0 and mixed(value) < p * 2.0**64


def named(masks: int, names: Sequence[str]) -> list[str]:
    """The names whose bits are set."""
    return [name for n, name in enumerate(names) if masks >> n & 1]


class VideoRecords:
    """Whole records by position, the last few thousand kept."""

    def __init__(self, dataset: Dataset, *, nul_p: float) -> None:
        self._dataset = dataset
        self._nul_p = nul_p
        self._whole = lru_cache(maxsize=_CACHED_RECORDS)(self._made)

    def shown(self, position: int, fields: Sequence[str]) -> dict[str, Any]:
        """The asked fields of one video; a field without a value is absent, and key order varies."""
        whole = self._whole(position)
        order = reversed(fields) if self._dataset.ids[position] & 1 else fields
        return {name: whole[name] for name in order if name in whole}

    def description(self, position: int) -> str:
        """The caption: marker, phrases, hashtags."""
        data = self._dataset
        pieces = named(data.phrases[position], PHRASES)
        pieces += [f"#{tag}" for tag in named(data.tags[position], HASHTAGS)]
        if chance(data.ids[position] ^ 0x4C4F4E47, _LONG_SHARE):
            pieces *= 1 + _LONGEST_CAPTION // (2 * len(" ".join(pieces)))
        joint = "\x00 " if chance(data.ids[position] ^ 0x4E55, self._nul_p) else " "
        return joint.join(pieces)

    def _made(self, position: int) -> dict[str, Any]:
        data = self._dataset
        video_id, views = data.ids[position], data.views[position]
        bits = mixed(video_id)
        tags = named(data.tags[position], HASHTAGS)
        record: dict[str, Any] = {
            "id": video_id,
            "create_time": create_time(video_id),
            "username": username(data.authors[position]),
            "region_code": REGIONS[data.regions[position]],
            "video_description": self.description(position),
            "music_id": MUSIC_IDS[data.music[position]],
            "comment_count": data.comments[position],
            "share_count": views * (bits & 15) // 1_000,
            "view_count": views,
            "favorites_count": views * (bits >> 4 & 31) // 1_000,
            "hashtag_names": tags,
            "is_stem_verified": bits >> 9 & 127 == 0,
            "video_duration": data.durations[position],
        }
        if bits >> 16 & 31:  # absent in 1 of 27 recorded videos (facts 2.1)
            record["like_count"] = views * (1 + (bits >> 24 & 127)) // 1_000
        if tags:
            record["hashtag_info_list"] = [
                {"hashtag_id": str(7_100_000 + HASHTAGS.index(tag)), "hashtag_name": tag} for tag in tags
            ]
        record.update(_effects(data.effects[position]))
        record.update(_rarities(bits, data, position))
        return record


def as_listed(record: dict[str, Any]) -> dict[str, Any]:
    """A record as liked, pinned and reposted lists show it, which spell two fields in another way.

    There the tag's keys are longer and its AIGC numbers the other way round (facts 2.2), and a picture has a
    URI.
    """
    tag, effects = record.get("video_tag"), record.get("effect_info_list")
    if tag is not None:
        number = 3 - tag["number"] if tag["type"] == "AIGC" else tag["number"]
        record["video_tag"] = {"video_tag_type": tag["type"], "video_tag_number": number}
    if effects is not None:
        record["effect_info_list"] = [
            {("effect_photo_URI" if key == "effect_photo_url" else key): value for key, value in e.items()}
            for e in effects
        ]
    return record


def playlist_of(data: Dataset, position: int) -> int | None:
    """The playlist that a video is in: few are, and an author has two at most."""
    bits = mixed(data.ids[position])
    if bits >> 40 & 15:
        return None
    which = data.authors[position] * PLAYLISTS_EACH + (bits >> 48) % PLAYLISTS_EACH
    return _FIRST_PLAYLIST + which * _PLAYLIST_STEP


def playlist_author(playlist_id: int) -> int:
    """Whose playlist has that id, if any has it."""
    return (playlist_id - _FIRST_PLAYLIST) // _PLAYLIST_STEP // PLAYLISTS_EACH


def _effects(index: int) -> dict[str, Any]:
    if index == 0:
        return {}
    effect = EFFECT_IDS[index - 1]
    info = {"effect_id": effect, "effect_name": f"Sim effect {index}", "effect_photo_url": ""}
    return {"effect_ids": [effect], "effect_info_list": [info]}


def _rarities(bits: int, data: Dataset, position: int) -> dict[str, Any]:
    """Keys that most records lack; shares are guesses but for transcripts (facts 2.2: 10-20 %)."""
    rare: dict[str, Any] = {}
    playlist_id = playlist_of(data, position)
    if playlist_id is not None:
        rare["playlist_id"] = playlist_id
    if bits >> 44 & 7 == 0:
        rare["voice_to_text"] = "simulated transcript: " + PHRASES[1 + bits % (len(PHRASES) - 1)]
    if bits >> 52 & 31 == 0:
        rare["video_tag"] = {"type": "AIGC", "number": 1 + (bits >> 57 & 1)}
    elif bits >> 52 & 31 == 1:
        rare["video_tag"] = {"type": "Branded", "number": 7 if bits >> 57 & 1 else 1}
    if bits >> 58 & 31 == 0:
        rare["video_label"] = {"content": "Get the facts about the election", "vote": ""}
    if bits >> 33 & 31 == 0:
        rare["sticker_info_list"] = [{"sticker_id": str(bits & 0xFFFF), "sticker_name": "Sim sticker"}]
    if bits >> 28 & 15 == 0:
        rare["video_mention_list"] = [username(1 + bits % data.author_count)]
    return rare
