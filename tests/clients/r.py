"""An R script with Debian's httr2 and jsonlite (`research.R`), in processes of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.clients.errands import Errand
from tests.clients.runs import Run
from tests.clients.sides import Side
from tests.clients.wire import Exchange, GoesOnForeverError, Watch, Wire
from tests.conftest import require

_HERE = Path(__file__).parent
SCRIPT = _HERE / "research.R"
_ONE_PAGE = frozenset({"user/info", "user/pinned_videos", "adlib/ad/detail", "adlib/ad/report"})


@cache
def is_installed() -> bool:
    """Whether this machine has R with both packages."""
    program = shutil.which("Rscript")
    if program is None:
        return False
    has_packages = "quit(status = !all(sapply(c('httr2', 'jsonlite'), requireNamespace, quietly = TRUE)))"
    return subprocess.run([program, "-e", has_packages], check=False, capture_output=True).returncode == 0


def _search(errand: Errand) -> dict[str, Any]:
    search = errand.search
    regions = {"field_name": "region_code", "operation": "IN", "field_values": search.regions}
    tag = {"field_name": "hashtag_name", "operation": "EQ", "field_values": [search.hashtag]}
    body = {"query": {"and": [regions, tag]}, "start_date": search.start, "end_date": search.end}
    if errand.search_id is None:
        return body
    return {**body, "search_id": errand.search_id, "cursor": errand.page}


def _of_somebody(errand: Errand) -> dict[str, Any]:
    return {"username": errand.handle}


def _period(key: str) -> Callable[[Errand], dict[str, Any]]:
    def body(errand: Errand) -> dict[str, Any]:
        asked: dict[str, Any] = {"filters": {key: {"min": errand.search.start, "max": errand.search.end}}}
        return asked if errand.search_id is None else {**asked, "search_id": errand.search_id}

    return body


_BODIES: Mapping[str, Callable[[Errand], dict[str, Any]]] = {
    "video/query": _search,
    # Ids leave R as text.
    "video/comment/list": lambda errand: {"video_id": str(errand.number)},
    "user/info": _of_somebody,
    "user/liked_videos": _of_somebody,
    "user/pinned_videos": _of_somebody,
    "user/reposted_videos": _of_somebody,
    "user/followers": _of_somebody,
    "user/following": _of_somebody,
    "playlist/info": lambda errand: {"playlist_id": str(errand.number)},
    "tts/shop": lambda errand: {"shop_name": errand.handle},
    "tts/product": lambda errand: {"shop_id": str(errand.number)},
    "tts/review": lambda errand: {"product_id": str(errand.number)},
    "validation_task/create": lambda errand: {"ids": errand.handle.split(","), "category": "video"},
    "adlib/ad/query": _period("ad_published_date_range"),
    "adlib/ad/detail": lambda errand: {"ad_id": str(errand.number)},
    "adlib/ad/report": _period("ad_published_date_range"),
    "adlib/advertiser/query": lambda errand: {"search_term": errand.handle},
    "adlib/commercial_content/query": _period("content_published_date_range"),
}


class _Worker:
    """One R process that does one job after the other."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            ["Rscript", "--vanilla", str(_HERE / "worker.R"), str(_HERE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def say(self, line: str) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError("R has ended; its standard error says why")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def close(self) -> None:
        self._popen.kill()
        self._popen.communicate()


class RScript:
    """The script as a client; starts a process for each job that runs while another does."""

    name = "R"

    def __init__(self) -> None:
        self._idle: list[_Worker] = []

    @property
    def acts(self) -> Mapping[str, str]:
        return {endpoint: endpoint for endpoint in _BODIES}

    def sign_in(self, side: Side) -> object:
        """An access token."""
        done, _ = self._do(_job(side), None)
        return done["got"]

    def run(
        self, side: Side, act: str, errand: Errand, watch: Watch | None = None, session: object = None
    ) -> Run:
        """Do the act, to its end; without a session, sign in first."""
        job = {**_job(side), "endpoint": act, "body": _BODIES[act](errand)}
        if act not in _ONE_PAGE:
            job["size"] = errand.page
        if session is not None:
            job["token"] = session
        done, wire = self._do(job, watch)
        return Run(
            got=json.dumps(done.get("got"), sort_keys=True),
            raised=done.get("raised"),
            # httr2 draws the length of its pauses; how many there were can be compared.
            slept_s=(None,) * len(wire.slept_s),
            exchanges=tuple(wire.exchanges),
        )

    def close(self) -> None:
        """End the processes."""
        while self._idle:
            self._idle.pop().close()

    def _do(self, job: Mapping[str, Any], watch: Watch | None) -> tuple[dict[str, Any], Wire]:
        require(is_installed(), "R with httr2 and jsonlite")
        worker = self._idle.pop() if self._idle else _Worker()
        wire = Wire(watch)
        try:
            worker.say(json.dumps(job))
            done = _converse(worker, wire)
        except BaseException:
            worker.close()
            raise
        self._idle.append(worker)
        return done, wire


def _job(side: Side) -> dict[str, Any]:
    return {
        "base_url": side.base_url,
        "client_key": side.client_key,
        "client_secret": side.client_secret,
    }


def _converse(worker: _Worker, wire: Wire) -> dict[str, Any]:
    """Hear everything up to the end of the job, and return that."""
    went_on = False
    while True:
        heard = worker.hear()
        match heard["kind"]:
            case "sleep":
                wire.sleep(heard["seconds"])
            case "exchange":
                answer = "go"
                try:
                    wire.record(_exchange(heard))
                except GoesOnForeverError:
                    went_on, answer = True, "stop"
                worker.say(answer)
            case _:
                return {**heard, "raised": GoesOnForeverError.__name__} if went_on else heard


def _exchange(heard: Mapping[str, Any]) -> Exchange:
    url = urlsplit(heard["url"])
    return Exchange(
        path=url.path,
        query=url.query,
        sent="",
        authorization=heard.get("authorization") or "",
        status=heard["status"],
        body=heard["body"],
        headers={name.lower(): value for name, value in heard["headers"].items()},
    )
