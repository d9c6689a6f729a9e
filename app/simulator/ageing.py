"""Counts as video query shows them: the values of some days ago (facts 3.4, Q13)."""

from typing import Any

from app.simulator.dataset import DAY_S, create_time
from app.simulator.videos import mixed

_COUNTS = ("like_count", "comment_count", "share_count", "view_count", "favorites_count")


def stale(record: dict[str, Any], *, video_id: int, now_s: float, lag_days: float) -> dict[str, Any]:
    """The record with each count as of up to `lag_days` ago, taking counts to grow evenly since creation.

    How far back differs by video. Conditions on counts go by the live values.
    """
    age_days = max(0.0, (now_s - create_time(video_id)) / DAY_S)
    lag = lag_days * (1 + mixed(video_id) % 100) / 100
    share = max(0.0, 1 - lag / age_days) if age_days else 0.0
    return {name: int(value * share) if name in _COUNTS else value for name, value in record.items()}
