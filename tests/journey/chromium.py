"""The system's Chromium, and people in front of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium") or ""
_SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def opened_chromium() -> Iterator[Browser]:
    """A browser without windows."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_SWITCHES)
        yield browser
        browser.close()


class Visitor:
    """One person with a window of their own; `complaints` are errors of scripts and of the policy."""

    def __init__(self, gateway: str, context: BrowserContext) -> None:
        self.home = f"{gateway}/console"
        self.context = context
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", self._complain_of)

    def _complain_of(self, request: Request) -> None:
        # A visitor who goes on before a page has all its files leaves them unfetched.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url}: {request.failure}")

    def sign_in(self, token: str) -> None:
        self.page.goto(f"{self.home}/sign-in")
        self.page.get_by_label("Your token").fill(token)
        self.page.get_by_role("region", name="With a token").get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()

    def go(self, path: str) -> None:
        answer = self.page.goto(f"{self.home}{path}")
        assert answer is not None
        assert answer.status == 200, path
