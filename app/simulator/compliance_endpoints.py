"""What the three endpoints of batch compliance answer (facts 2.11)."""

import re
from collections.abc import Callable
from typing import Any

from app.simulator import parsing
from app.simulator.answers import invalid_params
from app.simulator.calls import Call, Endpoint, Reply, TextFile
from app.simulator.compliance import Category, ValidationTask, category_of, form_parts, ids_of
from app.simulator.platform import Platform

_UINT64_MAX = 2**64 - 1
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)


def create_task(platform: Platform, call: Call) -> Reply:
    """Take a file of ids in."""
    form = form_parts(call.body, call.content_type)
    knobs = platform.knobs
    task = platform.validation_tasks.begin(
        call.client_key,
        category_of(form),
        ids_of(form),
        delay_s=knobs.compliance_delay_s,
        is_failing=knobs.compliance_fails,
    )
    # Without a delay the result is that of this moment.
    platform.validation_tasks.status(task, _exists(platform, task.category))
    return _reply({"task_id": task.id})


def show_status(platform: Platform, call: Call) -> Reply:
    """How far a task is."""
    task = _task(platform, call)
    return _reply({"task_status": platform.validation_tasks.status(task, _exists(platform, task.category))})


def download_result(platform: Platform, call: Call) -> TextFile:
    """The ids that exist, one a line, in the order in which they came."""
    task = _task(platform, call)
    status = platform.validation_tasks.status(task, _exists(platform, task.category))
    if task.valid is None:
        raise invalid_params(f"The task {task.id} has no result: its status is {status}")
    return TextFile(text="".join(f"{valid}\n" for valid in task.valid))


def _task(platform: Platform, call: Call) -> ValidationTask:
    task_id = parsing.json_object(call.body).get("task_id")
    if isinstance(task_id, str) and _DIGITS.fullmatch(task_id):
        task_id = int(task_id)
    if not isinstance(task_id, int) or isinstance(task_id, bool) or not 0 <= task_id <= _UINT64_MAX:
        raise invalid_params("The task_id is required, as a number or as digits")
    return platform.validation_tasks.find(call.client_key, task_id)


def _exists(platform: Platform, category: Category) -> Callable[[int], bool]:
    return platform.has_video if category == "video" else platform.has_comment


def _reply(data: dict[str, Any]) -> Reply:
    """With the fuller `error` that these endpoints show (facts 2.11)."""
    return Reply(data=data, records=0, error={"code": "ok", "http_status_code": 200, "message": "ok."})


COMPLIANCE_ENDPOINTS = (
    Endpoint(name="validation_task/create", answer=create_task),
    Endpoint(name="validation_task_status/get", answer=show_status),
    Endpoint(name="validation_task/download", answer=download_result),
)
