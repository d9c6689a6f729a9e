"""An OpenID provider as a process of its own: discovery, keys, a page to sign in at, codes, tokens; and lies on demand.

Tokens are put together and signed by hand with `cryptography`, so that nothing of the library under test stands on
both sides. `python -m tests.servers.provider` runs one; it says its port on its first line.
"""

import hashlib
import hmac
import json
import secrets
import subprocess
import sys
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ROOT = Path(__file__).parents[2]
CLIENT_ID = "bursar-of-the-university"
CLIENT_SECRET = "k7-Wq0:vL/9 rT+zX"
"""With characters that a form and a header write differently."""
PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {"sub": "8f14e45f-ada", "email": "Ada@example.edu", "email_verified": True, "groups": ["staff"]},
    "bob": {"sub": "c9f0f895-bob", "email": "bob@example.edu", "email_verified": False},
    "ben": {"sub": "0aa1883c-ben", "email": "ben@example.edu", "email_verified": True},
    "mallory": {"sub": "45c48cce-mal", "email": "mallory@evil.example", "email_verified": True},
    "newada": {"sub": "d3d94468-new", "email": "ada@example.edu", "email_verified": True},
}


def base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class SigningPair:
    """An RSA key with a name."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self) -> dict[str, str]:
        numbers = self._private.public_key().public_numbers()
        n, e = (value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.n, numbers.e))
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "n": base64(n), "e": base64(e)}

    def pem(self) -> bytes:
        return self._private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def signed(self, head: dict[str, Any], claims: dict[str, Any]) -> str:
        shown = unsigned(head, claims)
        signature = self._private.sign(shown.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{shown}.{base64(signature)}"


def unsigned(head: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(base64(json.dumps(part).encode()) for part in (head, claims))


Lie = Callable[["Desk", dict[str, Any]], str]


class Desk:
    """What the provider knows, and how it lies."""

    def __init__(self) -> None:
        self.origin = ""
        self.key, self.other = SigningPair("first"), SigningPair("other")
        self.published = [self.key]
        self.codes: dict[str, dict[str, str]] = {}
        self.lie = ""
        self.last_token = ""

    def claims(self, asked: dict[str, str]) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.origin, "aud": CLIENT_ID, "nonce": asked["nonce"], "iat": now, "exp": now + 300}
        if "max_age" in asked:
            claims["auth_time"] = now
        return claims | PEOPLE[asked["name"]]

    def id_token(self, asked: dict[str, str]) -> str:
        claims, lie = self.claims(asked), (LIES | LIES_OF_A_PROOF).get(self.lie)
        self.last_token = lie(self, claims) if lie is not None else self.honest(claims)
        return self.last_token

    def honest(self, claims: dict[str, Any]) -> str:
        return self.key.signed({"alg": "RS256", "kid": self.key.kid}, claims)

    def forged(self, **more: Any) -> Callable[[dict[str, Any]], str]:
        """By a key that nobody published, under the name of the one that is."""
        return lambda claims: self.other.signed({"alg": "RS256", "kid": self.key.kid, **more}, claims)


def _with(**claims: Any) -> Lie:
    return lambda desk, told: desk.honest({**told, **claims})


def _without(name: str) -> Lie:
    return lambda desk, told: desk.honest({key: value for key, value in told.items() if key != name})


def _later(**seconds: int) -> Lie:
    return lambda desk, told: desk.honest({**told, **{key: told["iat"] + by for key, by in seconds.items()}})


def _by_the_public_key(desk: Desk, claims: dict[str, Any]) -> str:
    """The classic: the public key taken for a shared secret."""
    shown = unsigned({"alg": "HS256", "kid": desk.key.kid}, claims)
    return f"{shown}.{base64(hmac.digest(desk.key.pem(), shown.encode(), 'sha256'))}"


def _changed_afterwards(desk: Desk, claims: dict[str, Any]) -> str:
    head, _, signature = desk.honest(claims).split(".")
    payload = json.dumps({**claims, "sub": PEOPLE["mallory"]["sub"]}).encode()
    return f"{head}.{base64(payload)}.{signature}"


LIES: dict[str, Lie] = {
    "alg none": lambda _, claims: unsigned({"alg": "none"}, claims) + ".",
    "alg none with a signature": lambda desk, claims: desk.key.signed(
        {"alg": "none", "kid": "first"}, claims
    ),
    "a secret for a key": _by_the_public_key,
    "changed afterwards": _changed_afterwards,
    "another key": lambda desk, claims: desk.forged()(claims),
    "another key that it brings": lambda desk, claims: desk.forged(jwk=desk.other.public())(claims),
    "another key by address": lambda desk, claims: desk.forged(jku=f"{desk.origin}/other-keys")(claims),
    "a key that nobody knows": lambda desk, claims: desk.other.signed(
        {"alg": "RS256", "kid": "other"}, claims
    ),
    "another issuer": _with(iss="https://evil.example"),
    "another audience": _with(aud="another-service"),
    "several audiences": _with(aud=[CLIENT_ID, "another-service"]),
    "another party": _with(azp="another-service"),
    "no audience": _without("aud"),
    "another nonce": _with(nonce="A" * 43),
    "no nonce": _without("nonce"),
    "expired": _later(exp=-3_600, iat=-3_900),
    "expired just now": _later(exp=-90),
    "no end": _without("exp"),
    "an old one": _later(iat=-3_600, exp=3_600),
    "from the future": _later(iat=3_600, exp=7_200),
    "not yet": _later(nbf=3_600),
    "no subject": _without("sub"),
    "an empty subject": _with(sub=""),
    "a subject of another kind": _with(sub=["8f14e45f-ada"]),
    "a wrong hash": _with(at_hash="A" * 22),
    "critical": lambda desk, claims: desk.key.signed(
        {"alg": "RS256", "kid": "first", "crit": ["x"], "x": 1}, claims
    ),
    "no token": lambda _desk, _claims: "",
    "two parts": lambda desk, claims: desk.honest(claims).rpartition(".")[0],
    "no JSON": lambda desk, _: desk.key.signed({"alg": "RS256", "kid": "first"}, "text"),  # type: ignore[arg-type]
    "ten megabytes": lambda desk, claims: desk.key.signed({"alg": "RS256", "kid": "A" * 10_000_000}, claims),
}

LIES_OF_A_PROOF: dict[str, Lie] = {
    "an earlier sign-in": lambda desk, claims: desk.honest({**claims, "auth_time": claims["iat"] - 120}),
    "no word of the sign-in": _without("auth_time"),
}


class Provider(BaseHTTPRequestHandler):
    """The provider's pages."""

    protocol_version = "HTTP/1.1"
    desk: Desk

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query))
        match parts.path:
            case "/.well-known/openid-configuration":
                self._json(200, self._metadata())
            case "/keys":
                self._json(200, {"keys": [each.public() for each in self.desk.published]})
            case "/other-keys":
                self._json(200, {"keys": [self.desk.other.public() | {"kid": "first"}]})
            case "/favicon.ico":
                self._send(204, b"", "image/x-icon")
            case "/authorize":
                self._sign_in_page(asked)
            case _:
                self._json(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        match urlsplit(self.path).path:
            case "/signed-in":
                self._signed_in({name: values[0] for name, values in parse_qs(body.decode()).items()})
            case "/token":
                self._token({name: values[0] for name, values in parse_qs(body.decode()).items()})
            case "/_tell":
                self._tell(json.loads(body))
            case _:
                self._json(404, {})

    def _metadata(self) -> dict[str, Any]:
        origin = self.desk.origin
        return {
            "issuer": "https://evil.example" if self.desk.lie == "another name" else origin,
            "authorization_endpoint": f"{origin}/authorize",
            "token_endpoint": f"{origin}/token",
            "jwks_uri": f"{origin}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _sign_in_page(self, asked: dict[str, str]) -> None:
        ok = asked.get("client_id") == CLIENT_ID and asked.get("response_type") == "code"
        ok = (
            ok and asked.get("code_challenge_method") == "S256" and "openid" in asked.get("scope", "").split()
        )
        if not ok or not all(
            asked.get(name) for name in ("state", "nonce", "code_challenge", "redirect_uri")
        ):
            self._json(400, {"error": "invalid_request"})
            return
        hidden = "".join(
            f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in asked.items()
        )
        page = (
            '<!doctype html><html lang="en"><title>University</title><h1>University sign-in</h1>'
            f'<form method="post" action="/signed-in">{hidden}<label>Account <input name="name"></label>'
            "<button>Continue</button></form></html>"
        )
        self._send(200, page.encode(), "text/html; charset=utf-8")

    def _signed_in(self, form: dict[str, str]) -> None:
        back = {"state": form["state"], "iss": self.desk.origin}
        if form.get("name") in PEOPLE:
            code = secrets.token_urlsafe(24)
            self.desk.codes[code] = form
            back["code"] = code
        else:
            back["error"] = "access_denied"
        self._send(303, b"", "text/plain", location=f"{form['redirect_uri']}?{urlencode(back)}")

    def _token(self, form: dict[str, str]) -> None:
        kind, _, shown = self.headers.get("authorization", "").partition(" ")
        client, _, secret = b64decode(shown).decode().partition(":") if kind == "Basic" else ("", "", "")
        if (unquote(client), unquote(secret)) != (CLIENT_ID, CLIENT_SECRET):
            self._json(401, {"error": "invalid_client"})
            return
        asked = self.desk.codes.pop(form.get("code", ""), None)
        challenge = base64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or challenge != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            self._json(400, {"error": "invalid_grant"})
            return
        token = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 300}
        self._json(200, {**token, "id_token": self.desk.id_token(asked)})

    def _tell(self, told: dict[str, Any]) -> None:
        """Control, for tests alone."""
        self.desk.lie = told.get("lie", "")
        if told.get("new key"):
            self.desk.key = SigningPair(secrets.token_hex(4))
            self.desk.published = [self.desk.key]
        self._json(200, {"last_token": self.desk.last_token})

    def _json(self, status: int, value: object) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
        """Nothing: a test says what went wrong."""


class RunningProvider:
    """The provider in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.servers.provider"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.issuer = self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def tell(self, **told: Any) -> dict[str, Any]:
        """Lie so from now on (`lie`), or sign with a `new_key`; what the last token was."""
        body = json.dumps({name.replace("_", " "): value for name, value in told.items()}).encode()
        with urlopen(Request(f"{self.issuer}/_tell", data=body, method="POST"), timeout=30) as answer:
            said: dict[str, Any] = json.loads(answer.read())
        return said


def main() -> None:
    Provider.desk = Desk()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.daemon_threads = True
    Provider.desk.origin = f"http://127.0.0.1:{server.server_address[1]}"
    print(Provider.desk.origin, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # until whoever started it goes


if __name__ == "__main__":
    main()
