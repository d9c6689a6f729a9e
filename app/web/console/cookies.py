"""The cookie that holds a session's secret, and whether a request may have come from one of our pages."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.errors import NotPermitted
from app.identity.institution import LIFE_S
from app.settings import Settings

PATH: Final = "/console"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SAME_ORIGIN: Final = "same-origin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """How the browser reaches us: over https, or within this machine, or neither."""

    is_https: bool
    is_loopback: bool

    @property
    def may_sign_in(self) -> bool:
        """Whether a secret is safe on its way; over plain http it is on this machine alone."""
        return self.is_https or self.is_loopback

    @property
    def cookie(self) -> str:
        """The cookie's name.

        Browsers take `__Host-` from https alone, and so that no other host and no path can set it. On plain
        http within this machine (the demonstration) the cookie goes without prefix and `Secure`.
        """
        return "__Host-bursar" if self.is_https else "bursar"


def ground_of(request: Request, settings: Settings) -> Ground:
    """How this request came; a front server that ends TLS is known by the public address in the settings."""
    public = urlsplit(settings.public_url)
    is_public = _host(request) == public.netloc.lower()
    return Ground(
        is_https=request.url.scheme == "https" or (is_public and public.scheme == "https"),
        is_loopback=(request.url.hostname or "") in _LOOPBACK,
    )


def secret_in(request: Request, ground: Ground) -> str | None:
    """The session's secret that the browser shows."""
    return request.cookies.get(ground.cookie)


def give(response: Response, ground: Ground, secret: str) -> None:
    """Have the browser keep the secret until it is closed; sessions end in the database."""
    response.set_cookie(
        ground.cookie,
        secret,
        path="/",
        secure=ground.is_https,
        httponly=True,
        samesite="strict",
    )


def ticket_in(request: Request, ground: Ground) -> str | None:
    """The secret of a sign-in that is under way at the institution's provider."""
    return request.cookies.get(_ticket(ground))


def give_ticket(response: Response, ground: Ground, secret: str) -> None:
    """Have the browser keep that secret until it comes back.

    It comes back from a page of the provider's, with which browsers send no strict cookie.
    """
    response.set_cookie(
        _ticket(ground),
        secret,
        max_age=LIFE_S,
        path="/",
        secure=ground.is_https,
        httponly=True,
        samesite="lax",
    )


def take_ticket_back(response: Response, ground: Ground) -> None:
    """Have the browser forget that secret."""
    response.delete_cookie(_ticket(ground), path="/", secure=ground.is_https, httponly=True, samesite="lax")


def take_back(response: Response, ground: Ground) -> None:
    """Have the browser forget the secret."""
    response.delete_cookie(ground.cookie, path="/", secure=ground.is_https, httponly=True, samesite="strict")


def require_own_page(request: Request, settings: Settings) -> None:
    """Return if a form was sent from a page of ours; raises NotPermitted.

    Every browser that can keep the session's cookie says where a form comes from, in `Sec-Fetch-Site`, in
    `Origin`, or in both. Whoever says neither is no browser, and has the API.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    ours = {_host(request), urlsplit(settings.public_url).netloc.lower()}
    is_foreign = site not in {None, _SAME_ORIGIN} or (
        origin is not None and urlsplit(origin).netloc.lower() not in ours
    )
    if is_foreign or (site is None and origin is None):
        raise NotPermitted("This form was not sent from a page of this console.", rule="origin")


def _ticket(ground: Ground) -> str:
    return f"{ground.cookie}-sign-in"


def _host(request: Request) -> str:
    return request.headers.get("host", "").lower()
