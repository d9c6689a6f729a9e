"""Comments and replies, computed from the video they stand under.

A comment's id is its time in the high 32 bits and, scrambled, the video's position and the comment's
index in the low 32, so that a reply list finds its comment without any table.
"""

from collections.abc import Sequence
from typing import Any

from app.simulator.dataset import Dataset, create_time
from app.simulator.videos import mixed
from app.simulator.vocabulary import COMMENT_TEXTS

COMMENT_FIELDS = frozenset(
    {"id", "video_id", "text", "parent_comment_id", "like_count", "reply_count", "create_time"}
)
"""Facts 2.3."""

_INDEX_BITS = 11
_REPLY_INDEX = 1_500
_MOST_REPLIES = 16
_STEP_S = 40
# Odd, hence invertible modulo 2^32.
_SCRAMBLE = 2_654_435_761
_UNSCRAMBLE = pow(_SCRAMBLE, -1, 1 << 32)
_LOW = 0xFFFFFFFF


class Comments:
    """All comments of a data set; top-level ones have index 0 up to the video's count, oldest first."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.is_masked = True

    def count(self, position: int) -> int:
        """How many top-level comments a video has."""
        return self._dataset.comments[position]

    def reply_count(self, position: int, index: int) -> int:
        """How many replies a top-level comment has; most have none."""
        bits = mixed(self._dataset.ids[position] ^ index << 20)
        return bits >> 4 & (_MOST_REPLIES - 1) if bits & 7 == 0 else 0

    def find(self, comment_id: int) -> tuple[int, int] | None:
        """Position and index of a top-level comment, or None for an id that none has."""
        position, index = _unpacked(comment_id)
        if position >= len(self._dataset) or index >= self.count(position):
            return None
        return (position, index) if self.comment_id(position, index) == comment_id else None

    def find_parent(self, reply_id: int) -> tuple[int, int] | None:
        """Position and index of the comment that a reply stands under, or None for an id that no reply has."""
        position, packed = _unpacked(reply_id)
        number = packed - _REPLY_INDEX
        if position >= len(self._dataset) or number < 0:
            return None
        index, rest_s = divmod((reply_id >> 32) - 1 - number - self._written_s(position, 0), _STEP_S)
        is_known = rest_s == 0 <= index < self.count(position) and number < self.reply_count(position, index)
        return (position, index) if is_known and self.reply_id(position, index, number) == reply_id else None

    def comment_id(self, position: int, index: int) -> int:
        """The id of a top-level comment."""
        return self._id(position, index, self._written_s(position, index))

    def shown(self, position: int, index: int, fields: Sequence[str]) -> dict[str, Any]:
        """The asked fields of a top-level comment; its parent is the video (facts 2.3, recorded)."""
        video_id = self._dataset.ids[position]
        return self._record(
            fields,
            video_id=video_id,
            parent=video_id,
            comment_id=self.comment_id(position, index),
            replies=self.reply_count(position, index),
        )

    def reply(self, position: int, index: int, number: int, fields: Sequence[str]) -> dict[str, Any]:
        """The asked fields of one reply to a top-level comment."""
        return self._record(
            fields,
            video_id=self._dataset.ids[position],
            parent=self.comment_id(position, index),
            comment_id=self.reply_id(position, index, number),
            replies=0,
        )

    def reply_id(self, position: int, index: int, number: int) -> int:
        """The id of one reply."""
        # Comments are _STEP_S apart and replies one second, so that no two share time and index.
        written_s = self._written_s(position, index) + 1 + number
        return self._id(position, _REPLY_INDEX + number, written_s)

    def _written_s(self, position: int, index: int) -> int:
        return create_time(self._dataset.ids[position]) + 60 + index * _STEP_S

    def _id(self, position: int, index: int, written_s: int) -> int:
        return written_s << 32 | (position << _INDEX_BITS | index) * _SCRAMBLE & _LOW

    def _record(
        self, fields: Sequence[str], *, video_id: int, parent: int, comment_id: int, replies: int
    ) -> dict[str, Any]:
        bits = mixed(comment_id)
        text = COMMENT_TEXTS[bits % len(COMMENT_TEXTS)]
        whole = {
            "id": comment_id,
            "video_id": video_id,
            "parent_comment_id": parent,
            "text": text if self.is_masked else text.replace("*", "0"),
            "like_count": (bits >> 16 & 1_023) ** 2 >> 12,
            "reply_count": replies,
            "create_time": (comment_id >> 32) + 22 + (bits >> 40) % 9,
        }
        return {name: whole[name] for name in fields}


def _unpacked(comment_id: int) -> tuple[int, int]:
    """Position and index out of the low bits of an id."""
    packed = (comment_id & _LOW) * _UNSCRAMBLE & _LOW
    return packed >> _INDEX_BITS, packed & (1 << _INDEX_BITS) - 1
