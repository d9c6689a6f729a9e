"""Profiles of synthetic accounts, computed from their number, and who of them can be asked about."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.simulator import parsing
from app.simulator.accounts import follower_count, following_count
from app.simulator.answers import invalid_params
from app.simulator.dataset import Dataset, is_minor, is_private
from app.simulator.platform import Platform
from app.simulator.videos import mixed

USER_FIELDS = frozenset(
    {
        "display_name", "bio_description", "avatar_url", "is_verified", "follower_count", "following_count",
        "likes_count", "video_count", "bio_url",
    }
)  # fmt: skip
"""Facts 2.4, complete list; the username is not echoed."""


def public_account(platform: Platform, body: Mapping[str, Any]) -> int:
    """The number of the account that `username` names.

    Raises ApiError in the words of facts 3.3 where the platform tells nothing about it.
    """
    name = parsing.handle(body)
    number = platform.author(name)
    if number is None:
        raise invalid_params(f"Username {name} is invalid: cannot find the user")
    if is_minor(number):
        raise invalid_params("API cannot return this user's information")
    if is_private(number):
        raise invalid_params(f"User {name} is private")
    return number


def display_name(number: int) -> str:
    """The name that an account shows."""
    return f"Sim {number}"


def profile(dataset: Dataset, number: int, fields: Sequence[str]) -> dict[str, Any]:
    """The asked fields of an author; most have no `bio_url`, and likes can exceed 32 bits."""
    bits = mixed(dataset.seed << 32 ^ number)
    videos = len(dataset.positions_by_author.get(number, ()))
    whole: dict[str, Any] = {
        "display_name": display_name(number),
        "bio_description": "synthetic account [sim] 🧪" if bits & 3 else "",
        "avatar_url": f"https://avatar.invalid/sim/{number}.jpeg",
        "is_verified": bits >> 8 & 63 == 0,
        "follower_count": follower_count(dataset.seed, number),
        "following_count": following_count(dataset.seed, number),
        "likes_count": videos * (bits >> 20 & 0x3FFFFFF),
        "video_count": videos,
    }
    if bits >> 12 & 7 == 0:
        whole["bio_url"] = f"https://bio.invalid/sim/{number}"
    return {name: whole[name] for name in fields if name in whole}
