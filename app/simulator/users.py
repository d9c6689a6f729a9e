"""Profiles of synthetic authors, computed from their number."""

from collections.abc import Sequence
from typing import Any

from app.simulator.dataset import Dataset
from app.simulator.videos import mixed

USER_FIELDS = frozenset(
    {
        "display_name", "bio_description", "avatar_url", "is_verified", "follower_count", "following_count",
        "likes_count", "video_count", "bio_url",
    }
)  # fmt: skip
"""Facts 2.4, complete list; the username is not echoed."""


def profile(dataset: Dataset, number: int, fields: Sequence[str]) -> dict[str, Any]:
    """The asked fields of an author; most have no `bio_url`, and likes can exceed 32 bits."""
    bits = mixed(dataset.seed << 32 ^ number)
    videos = dataset.videos_by_author[number]
    whole: dict[str, Any] = {
        "display_name": f"Sim {number}",
        "bio_description": "synthetic account [sim] 🧪" if bits & 3 else "",
        "avatar_url": f"https://avatar.invalid/sim/{number}.jpeg",
        "is_verified": bits >> 8 & 63 == 0,
        "follower_count": (bits >> 16 & 0xFFFFF) >> (bits >> 40 & 15),
        "following_count": bits >> 44 & 2_047,
        "likes_count": videos * (bits >> 20 & 0x3FFFFFF),
        "video_count": videos,
    }
    if bits >> 12 & 7 == 0:
        whole["bio_url"] = f"https://bio.invalid/sim/{number}"
    return {name: whole[name] for name in fields if name in whole}
