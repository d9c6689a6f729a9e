"""Running the web application until it is told to stop."""

import asyncio
import contextlib
import ctypes
import fcntl
import itertools
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn

from app.bootstrap import check_installation
from app.errors import BadSetting
from app.logs import configure_logs
from app.settings import Settings, load_settings
from app.storage.administering import check_seal_key
from app.web.connections import allow_many_connections
from app.web.factory import Door, create_app

_WORKERS = "WEB_CONCURRENCY"
"""uvicorn's own variable; each worker reads in it among how many it shares what Redis would count for all."""
_FINISH_WITHIN_S = 35
_PR_SET_DUMPABLE = 4


def run(settings: Settings, *, host: str = "127.0.0.1", port: int = 8080, workers: int = 1) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way and return.

    Raises BadSetting, NotReady and LogBroken when it must not start.
    """
    is_embedded = settings.database_url.startswith("sqlite")
    if workers > 1 and (is_embedded or settings.redis_url is None):
        raise BadSetting(
            "Several workers need PostgreSQL (BURSAR_DATABASE_URL) and Redis (BURSAR_REDIS_URL)."
        )
    keep_secrets_out_of_dumps()
    allow_many_connections()
    with _only_server(settings.data_dir) if is_embedded else contextlib.nullcontext():
        asyncio.run(check_installation(settings))
        asyncio.run(check_seal_key(settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises the signal again once it has stopped; by then it has been obeyed.
            signal.signal(number, _ignore)
        os.environ[_WORKERS] = str(workers)
        uvicorn.run(
            "app.web.serve:application",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            http="app.web.connections:Connection",
            lifespan="on",
            access_log=False,
            log_level="warning",
            log_config=None,  # its lines take the form of all others
            server_header=False,
            # Without a list nobody is believed; uvicorn's own default is a variable that is not ours.
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=_FINISH_WITHIN_S,
            timeout_keep_alive=75,
            # A worker that a busy machine lets wait for 5 s, uvicorn's default, would be killed with all its calls.
            timeout_worker_healthcheck=60,
        )


def application() -> Door:
    """The application of one worker, from this process's environment."""
    settings = load_settings()
    configure_logs(settings.log_format)
    keep_secrets_out_of_dumps()
    return create_app(
        settings,
        processes=int(os.environ.get(_WORKERS, "1")),
        lingering=lambda begin: _lingering(settings.shutdown_grace_s, begin),
    )


@contextlib.contextmanager
def _lingering(grace_s: float, begin: Callable[[], None]) -> Iterator[None]:
    """On SIGTERM run `begin`, and let the server hear of it `grace_s` later, or at the second SIGTERM."""
    server = signal.getsignal(signal.SIGTERM)
    if grace_s == 0 or not callable(server):
        yield
        return
    loop, told = asyncio.get_running_loop(), server
    asked = itertools.count()

    def hear(number: int, frame: FrameType | None) -> None:
        if next(asked) > 0:
            told(number, frame)
            return
        begin()
        loop.call_soon_threadsafe(loop.call_later, grace_s, told, number, None)

    signal.signal(signal.SIGTERM, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, told)


def keep_secrets_out_of_dumps() -> None:
    """No core file, and no other user's debugger or look at this process's environment."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextlib.contextmanager
def _only_server(data_dir: Path) -> Iterator[None]:
    """Hold the data directory: a second server on one SQLite file would break the order of writes."""
    with (data_dir / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadSetting(
                f"Another `bursar serve` uses {data_dir}. Stop it, or use PostgreSQL for several processes."
            ) from error
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Nothing: the server has obeyed already."""
