"""Validation tasks: lists of ids that a client hands in, to learn which of them still exist (facts 2.11)."""

import re
import secrets
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.utils import quote
from typing import Literal

from app.simulator.answers import ApiError, invalid_params
from app.simulator.clock import SimulatedClock

MAX_IDS = 10_000
"""Ids in one file (facts 2.11)."""

Category = Literal["video", "comment"]
TaskStatus = Literal["Processing", "Completed", "Failed"]

_KEPT = 200
_ID = re.compile(rb"[0-9]{1,19}")
_INT64_MAX = 2**63 - 1
_BOUNDARY = re.compile(rb"--([^\r\n]{1,200}?)[ \t]*\r?\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True, kw_only=True)
class ValidationTask:
    """One file of ids; `valid` is what was found, once somebody has seen the task completed."""

    id: int
    client_key: str
    category: Category
    ids: "array[int]"
    ready_at_s: float
    is_failing: bool
    valid: "array[int] | None" = field(default=None)


class ValidationTasks:
    """The tasks that can be asked about; beyond the last 200 the oldest are dropped."""

    def __init__(self, *, clock: SimulatedClock) -> None:
        self._clock = clock
        self.forget()

    def begin(
        self, client_key: str, category: Category, ids: "array[int]", *, delay_s: float, is_failing: bool
    ) -> ValidationTask:
        """A new task, under an id above 2^63, as the documented one (facts 2.11)."""
        # Not from the seed: an id given out before a reset must stay unknown after it.
        task_id = 1 << 63 | secrets.randbits(63)
        while task_id in self._tasks:
            task_id = 1 << 63 | secrets.randbits(63)
        task = ValidationTask(
            id=task_id,
            client_key=client_key,
            category=category,
            ids=ids,
            ready_at_s=self._clock.now_s() + delay_s,
            is_failing=is_failing,
        )
        self._tasks[task_id] = task
        if len(self._tasks) > _KEPT:
            self._tasks.popitem(last=False)
        return task

    def find(self, client_key: str, task_id: int) -> ValidationTask:
        """A task of this client. Raises ApiError for one that is unknown or of another."""
        task = self._tasks.get(task_id)
        if task is None or task.client_key != client_key:
            raise invalid_params(f"The task_id {task_id} is invalid")
        return task

    def status(self, task: ValidationTask, exists: Callable[[int], bool]) -> TaskStatus:
        """How far a task is; the first time that it is found completed, its result is fixed."""
        if task.valid is not None:
            return "Completed"
        if self._clock.now_s() < task.ready_at_s:
            return "Processing"
        if task.is_failing:
            return "Failed"
        task.valid = array("q", filter(exists, task.ids))
        return "Completed"

    def forget(self) -> None:
        """Drop every task."""
        self._tasks: OrderedDict[int, ValidationTask] = OrderedDict()


def form_parts(body: bytes, content_type: str) -> Mapping[str, bytes]:
    """The parts of a multipart form by name.

    Where the content type is another one, as in the official sample, or names no boundary, the first line
    of the body says what it is. Raises ApiError where there is no form.
    """
    header = Message()
    header["Content-Type"] = content_type or "application/octet-stream"
    boundary = header.get_boundary() if header.get_content_type() == "multipart/form-data" else None
    if not boundary:
        first_line = _BOUNDARY.match(body)
        if first_line is None:
            raise invalid_params("The request body is not a multipart form")
        boundary = first_line[1].decode("latin-1")
    head = f'Content-Type: multipart/form-data; boundary="{quote(boundary)}"\r\n\r\n'
    whole = BytesParser().parsebytes(head.encode("latin-1", "replace") + body)
    parts = (part for part in whole.walk() if not part.is_multipart())
    return {name: payload for part in parts for name, payload in _named(part)}


def _named(part: Message) -> list[tuple[str, bytes]]:
    name, payload = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
    return [(name, payload)] if isinstance(name, str) and isinstance(payload, bytes) else []


def category_of(form: Mapping[str, bytes]) -> Category:
    """What the ids are of. Raises ApiError."""
    match form.get("category", b"").strip():
        case b"video":
            return "video"
        case b"comment":
            return "comment"
        case _:
            raise invalid_params("The category must be video or comment")


def ids_of(form: Mapping[str, bytes]) -> "array[int]":
    """The ids in the file, one a line, blank lines aside. Raises ApiError; that of a bad line is inferred."""
    if "file_data" not in form:
        raise invalid_file_upload("The file file_data is required")
    lines = [line.strip() for line in form["file_data"].removeprefix(_BYTE_ORDER_MARK).splitlines()]
    found = [line for line in lines if line]
    if not 1 <= len(found) <= MAX_IDS:
        raise invalid_file_upload(f"The file must hold between 1 and {MAX_IDS} ids, not {len(found)}")
    for number, line in enumerate(lines, start=1):
        if line and (not _ID.fullmatch(line) or int(line) > _INT64_MAX):
            raise invalid_file_upload(f"Line {number} of the file is not an id")
    return array("q", map(int, found))


def invalid_file_upload(message: str) -> ApiError:
    """The error for a file that is not accepted (facts 3.2)."""
    return ApiError(400, "invalid_file_upload", message)
