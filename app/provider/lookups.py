"""The bodies of everything that is looked up by name or id: accounts, comments, playlists, shops, tasks.

Each normaliser takes the parsed body after paging and `fields` were taken out, and gives the question.
Unknown keys pass through unchanged. All raise InvalidParams with a message that names the mend.
"""

from collections.abc import Mapping

from app.provider import spelling
from app.query import malformed

MOST_IDS = 10_000
"""Ids in one file of batch compliance (developers.tiktok.com, batch compliance APIs, 2026-09-01)."""

CATEGORIES = frozenset({"video", "comment", "user"})
"""What may be checked: the page says video and comment, the changelog of 2025-05-16 speaks of users too."""


def user(body: Mapping[str, object]) -> dict[str, object]:
    """The question about one account: its username, as written."""
    _text(body, "username", 'the account\'s handle as a string, such as {"username": "alice"}')
    return dict(body)


def comments(body: Mapping[str, object]) -> dict[str, object]:
    """The question for the comments of one video, or for the replies to one comment."""
    named = {name: body[name] for name in ("video_id", "comment_id") if body.get(name) not in (None, "")}
    if len(named) != 1:
        raise malformed(
            "Give exactly one of video_id (comments of a video) and comment_id (replies to a comment)."
        )
    question = {name: value for name, value in body.items() if name not in ("video_id", "comment_id")}
    # Sent as a number: the platform documents int64 here and takes digit strings as well.
    question.update((name, spelling.identifier(value, name)) for name, value in named.items())
    return question


def playlist(body: Mapping[str, object]) -> dict[str, object]:
    """The question about one playlist."""
    return {**body, "playlist_id": _id(body, "playlist_id")}


def shop(body: Mapping[str, object]) -> dict[str, object]:
    """The question for shops of one name."""
    _text(body, "shop_name", 'a string, such as {"shop_name": "Example"}')
    return dict(body)


def products(body: Mapping[str, object]) -> dict[str, object]:
    """The question for the products of one shop."""
    return {**body, "shop_id": _id(body, "shop_id")}


def reviews(body: Mapping[str, object]) -> dict[str, object]:
    """The question for the reviews of one product; its id goes out as text, as the table documents it."""
    return {**body, "product_id": str(_id(body, "product_id"))}


def task(body: Mapping[str, object]) -> dict[str, object]:
    """The question about one task of batch compliance."""
    value = body.get("task_id")
    if value in (None, ""):
        raise malformed("task_id is missing; send the one that validation_task/create answered.")
    return {**body, "task_id": spelling.task_id(value)}


def upload(body: Mapping[str, object]) -> dict[str, object]:
    """The question of a batch check: the file's text to the letter, and the category."""
    category = body.get("category")
    if category not in CATEGORIES:
        raise malformed(f"category is {spelling.shown(category)}; it must be video or comment.")
    text = body.get("file_data")
    if not isinstance(text, str) or not text.strip():
        raise malformed("file_data is missing or empty; send a text file with one id a line.")
    count = sum(1 for line in text.splitlines() if line.strip())
    if count > MOST_IDS:
        raise malformed(
            f"file_data holds {count} lines; the platform takes at most {MOST_IDS} ids in a file. Split it."
        )
    return dict(body)


def _text(body: Mapping[str, object], name: str, mend: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise malformed(f"{name} is missing; send {mend}.")
    return value


def _id(body: Mapping[str, object], name: str) -> int:
    value = body.get(name)
    if value is None or value == "":
        raise malformed(f"{name} is missing; send the id as a number or as its digits.")
    return spelling.identifier(value, name)
