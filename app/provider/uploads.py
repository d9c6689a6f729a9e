"""Forms with files (RFC 7578), read from what a client sent and written anew for the platform.

Nothing of the client's own framing goes out: boundary, part headers and file names are Bursar's.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.query import malformed

_MOST_PARTS = 16
_MOST_BOUNDARY_BYTES = 70  # RFC 2046, section 5.1.1
_FILE_PARTS = frozenset({"file_data"})


@dataclass(slots=True)
class _Form:
    """What the parser has seen so far."""

    parts: list[tuple[str, bytes]] = field(default_factory=list)
    _header_name: bytes = b""
    _header_value: bytes = b""
    _disposition: bytes = b""
    _data: bytearray = field(default_factory=bytearray)
    is_whole: bool = False

    def begin_part(self) -> None:
        if len(self.parts) >= _MOST_PARTS:
            raise malformed(f"The form has more than {_MOST_PARTS} parts.")
        self._disposition, self._data = b"", bytearray()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def end_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        self.parts.append((options.get(b"name", b"").decode("utf-8", "replace"), bytes(self._data)))

    def end(self) -> None:
        self.is_whole = True


def parse_upload(body: bytes) -> dict[str, object]:
    """The parts of a form by name, as text, whatever the request's content type said.

    The boundary is taken from the body itself: the platform's own sample sends such a form as
    application/json. Raises InvalidParams and nothing else.
    """
    first_line, line_end, _ = body.partition(b"\r\n")
    boundary = first_line.removeprefix(b"--").rstrip(b" \t")
    if not line_end or not first_line.startswith(b"--") or not 0 < len(boundary) <= _MOST_BOUNDARY_BYTES:
        raise malformed(
            "The request body must be a form with file_data (a text file, one id a line) and category: "
            "multipart/form-data, as `curl -F` and `requests` with `files=` send it."
        )
    form = _Form()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin_part,
                "on_header_field": form.header_field,
                "on_header_value": form.header_value,
                "on_header_end": form.end_header,
                "on_part_data": form.data,
                "on_part_end": form.end_part,
                "on_end": form.end,
            },
        )
        parser.write(body)
        parser.finalize()
    except MultipartParseError:
        raise malformed("The request body is not a well-formed multipart form.") from None
    if not form.is_whole:
        raise malformed("The request body is a multipart form without its end; it was cut off.")
    return _named(form.parts)


def _named(parts: list[tuple[str, bytes]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, data in parts:
        if not name or name in found:
            raise malformed("Each part of the form needs a name of its own.")
        try:
            found[name] = data.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            raise malformed(f"The part {name!r} of the form is not text in UTF-8.") from None
    return found


def write_upload(parts: Mapping[str, object]) -> tuple[bytes, str]:
    """The form as bytes, and its content type."""
    texts = {name: str(value).encode() for name, value in parts.items()}
    boundary = _boundary(b"".join(texts.values()))
    chunks: list[bytes] = []
    for name, text in texts.items():
        quoted = name.replace("\\", "").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        chunks.append(b'--%b\r\nContent-Disposition: form-data; name="%b"' % (boundary, quoted.encode()))
        if name in _FILE_PARTS:
            chunks.append(b'; filename="ids.txt"\r\nContent-Type: text/plain')
        chunks.append(b"\r\n\r\n%b\r\n" % text)
    chunks.append(b"--%b--\r\n" % boundary)
    return b"".join(chunks), f"multipart/form-data; boundary={boundary.decode()}"


def _boundary(content: bytes) -> bytes:
    # A digest of what it separates cannot stand in it by chance, nor be put there. Whole it would be too long.
    return b"bursar-" + hashlib.sha256(content).hexdigest()[:48].encode()
