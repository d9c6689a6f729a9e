"""Requests that two programs might read as different requests: one after the other, for whoever reads both.

Each is one message that a second one hides in. `Connection: close` says that nothing follows, so a front server has no
reason to read the second one as a request of its own, and whoever sees it has been led to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HIDDEN: Final = b"GET /hidden HTTP/1.1\r\nHost: bursar.example.edu\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Raw bytes, and what is odd about them."""

    name: str
    raw: bytes


_ENCODINGS: Final = {
    "plain": b"Transfer-Encoding: chunked",
    "upper case": b"TRANSFER-ENCODING: CHUNKED",
    "space before colon": b"Transfer-Encoding : chunked",
    "tab before colon": b"Transfer-Encoding\t: chunked",
    "tab after colon": b"Transfer-Encoding:\tchunked",
    "no space": b"Transfer-Encoding:chunked",
    "vertical tab": b"Transfer-Encoding:\x0bchunked",
    "form feed": b"Transfer-Encoding: \x0cchunked",
    "next line": b"Transfer-Encoding: \x85chunked",
    "no-break space": b"Transfer-Encoding:\xa0chunked",
    "null after": b"Transfer-Encoding: chunked\x00",
    "null before": b"Transfer-Encoding: \x00chunked",
    "trailing space": b"Transfer-Encoding: chunked ",
    "trailing tab": b"Transfer-Encoding: chunked\t",
    "trailing comma": b"Transfer-Encoding: chunked,",
    "leading comma": b"Transfer-Encoding: ,chunked",
    "quoted": b'Transfer-Encoding: "chunked"',
    "single quotes": b"Transfer-Encoding: 'chunked'",
    "prefixed": b"Transfer-Encoding: xchunked",
    "suffixed": b"Transfer-Encoding: chunkedx",
    "identity": b"Transfer-Encoding: identity",
    "identity then chunked": b"Transfer-Encoding: identity, chunked",
    "chunked then identity": b"Transfer-Encoding: chunked, identity",
    "gzip then chunked": b"Transfer-Encoding: gzip, chunked",
    "chunked twice": b"Transfer-Encoding: chunked, chunked",
    "two fields": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "two fields reversed": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "parameter": b"Transfer-Encoding: chunked;q=0",
    "folded": b"Transfer-Encoding:\r\n chunked",
    "folded with tab": b"Transfer-Encoding:\r\n\tchunked",
    "folded into another": b"X-Padding: a\r\n Transfer-Encoding: chunked",
    "after a bare line feed": b"X-Padding: a\nTransfer-Encoding: chunked",
    "after a bare carriage return": b"X-Padding: a\rTransfer-Encoding: chunked",
    "line feed before colon": b"Transfer-Encoding\n: chunked",
    "leading space": b" Transfer-Encoding: chunked",
    "underscore": b"Transfer_Encoding: chunked",
    "null in the name": b"Transfer-Enco\x00ding: chunked",
    "empty": b"Transfer-Encoding:",
    "named by connection": b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    "trailers": b"TE: trailers\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked",
}
_LENGTHS: Final = {
    "twice the same": b"Content-Length: %d\r\nContent-Length: %d",
    "twice, second is none": b"Content-Length: %d\r\nContent-Length: 0",
    "twice, first is none": b"Content-Length: 0\r\nContent-Length: %d",
    "list": b"Content-Length: %d, %d",
    "list of different": b"Content-Length: 0, %d",
    "plus": b"Content-Length: +%d",
    "minus": b"Content-Length: -%d",
    "hexadecimal": b"Content-Length: 0x%x",
    "leading zeros": b"Content-Length: 000%d",
    "fraction": b"Content-Length: %d.0",
    "exponent": b"Content-Length: %de0",
    "underscore in it": b"Content-Length: 1_%d",
    "space in it": b"Content-Length: 1 %d",
    "trailing space": b"Content-Length: %d ",
    "vertical tab": b"Content-Length: \x0b%d",
    "null": b"Content-Length: %d\x00",
    "quoted": b'Content-Length: "%d"',
    "empty": b"Content-Length:",
    "letters": b"Content-Length: ten",
    "beyond 64 bits": b"Content-Length: 18446744073709551617",
    "space before colon": b"Content-Length : %d",
    "tab before colon": b"Content-Length\t: %d",
    "folded": b"Content-Length:\r\n %d",
    "folded number": b"Content-Length: 1\r\n %d",
    "leading space": b" Content-Length: %d",
    "underscore": b"Content_Length: %d",
    "bare line feed": b"X-Padding: a\nContent-Length: %d",
    "bare carriage return": b"X-Padding: a\rContent-Length: %d",
    "named by connection": b"Connection: Content-Length\r\nContent-Length: %d",
    "other digits": "Content-Length: \u0661%d".encode(),
}
_CHUNKS: Final = {
    "extension": b"2;a=b\r\n{}\r\n0\r\n\r\n",
    "long extension": b"2;" + b"a" * 20_000 + b"\r\n{}\r\n0\r\n\r\n",
    "extension with a quoted line end": b'2;a="\r\n"\r\n{}\r\n0\r\n\r\n',
    "extension with a bare line feed": b"2;a\n{}\r\n0\r\n\r\n",
    "extension that hides a chunk": b"2;\n{}\r\n1f\r\n0\r\n\r\n",
    "space before size": b" 2\r\n{}\r\n0\r\n\r\n",
    "space after size": b"2 \r\n{}\r\n0\r\n\r\n",
    "tab after size": b"2\t\r\n{}\r\n0\r\n\r\n",
    "plus": b"+2\r\n{}\r\n0\r\n\r\n",
    "minus": b"-2\r\n{}\r\n0\r\n\r\n",
    "0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "underscore": b"0_2\r\n{}\r\n0\r\n\r\n",
    "leading zeros": b"0" * 1_000 + b"2\r\n{}\r\n0\r\n\r\n",
    "beyond 64 bits": b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "all ones": b"ffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
    "letters": b"zz\r\n{}\r\n0\r\n\r\n",
    "bare line feeds": b"2\n{}\n0\n\n",
    "line feed after size": b"2\n{}\r\n0\r\n\r\n",
    "line feed after data": b"2\r\n{}\n0\r\n\r\n",
    "carriage return after size": b"2\r{}\r\n0\r\n\r\n",
    "nothing after data": b"2\r\n{}0\r\n\r\n",
    "too much data": b"2\r\n{}xx\r\n0\r\n\r\n",
    "line feeds at the end": b"2\r\n{}\r\n0\n\n",
    "carriage returns at the end": b"2\r\n{}\r\n0\r\r",
    "zeros as the last": b"2\r\n{}\r\n000\r\n\r\n",
    "minus zero": b"2\r\n{}\r\n-0\r\n\r\n",
    "trailer of a length": b"2\r\n{}\r\n0\r\nContent-Length: 60\r\n\r\n",
    "trailer of an encoding": b"2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer of an authorisation": b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
    "trailer with a bare line feed": b"2\r\n{}\r\n0\r\nX: a\nY: b\r\n\r\n",
    "trailer without colon": b"2\r\n{}\r\n0\r\nGET /hidden HTTP/1.1\r\n\r\n",
    "no end": b"2\r\n{}\r\n",
}
_HEADS: Final = {
    "bare line feeds": b"POST %b HTTP/1.1\nHost: bursar.example.edu\nConnection: close\nContent-Length: 2\n\n{}",
    "carriage returns": b"POST %b HTTP/1.1\rHost: bursar.example.edu\rConnection: close\rContent-Length: 2\r\r{}",
    "line feed ends the head": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\n\n{}",
    "empty lines first": b"\r\n\r\nPOST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "two spaces": b"POST  %b  HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "tabs": b"POST\t%b\tHTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "two versions": b"POST %b HTTP/1.1 HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "no version": b"POST %b\r\nHost: bursar.example.edu\r\nContent-Length: 2\r\n\r\n{}",
    "version 0.9": b"POST %b HTTP/0.9\r\nHost: bursar.example.edu\r\nContent-Length: 2\r\n\r\n{}",
    "version 1.0 in chunks": b"POST %b HTTP/1.0\r\nHost: bursar.example.edu\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "version 1.2": b"POST %b HTTP/1.2\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "version 2.0": b"POST %b HTTP/2.0\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "version 11.1": b"POST %b HTTP/11.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another host in the line": b"POST http://other.example%b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nHost: other.example\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "no host": b"POST %b HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "null in the path": b"POST %b\x00 HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "line end in the path": b"POST %b%%0d%%0aX:%%20y HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "fragment": b"POST %b#/hidden HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "lower case method": b"post %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "method with a colon": b"PO:ST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "CONNECT": b"CONNECT bursar.example.edu:443 HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\n\r\n",
    "TRACE": b"TRACE %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\n\r\n",
    "GET with a body": b"GET %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "GET in chunks": b"GET %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "HEAD with a body": b"HEAD %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "body without a length": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\n\r\n{}",
    "expectation": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "unknown expectation": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nExpect: 100-continuex\r\nContent-Length: 2\r\n\r\n{}",
    "upgrade to h2c": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 2\r\n\r\n{}",
    "upgrade to a web socket": b"GET %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "field without a colon": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nX-Padding\r\nContent-Length: 2\r\n\r\n{}",
    "field without a name": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\n: x\r\nContent-Length: 2\r\n\r\n{}",
    "carriage return in a value": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nX-Padding: a\rb\r\nContent-Length: 2\r\n\r\n{}",
    "null in a value": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nX-Padding: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "folded value": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nConnection: close\r\nX-Padding: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "space before the first field": b"POST %b HTTP/1.1\r\n Host: bursar.example.edu\r\nHost: bursar.example.edu\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "proxy connection": b"POST %b HTTP/1.1\r\nHost: bursar.example.edu\r\nProxy-Connection: keep-alive\r\nConnection: close, Host\r\nContent-Length: 2\r\n\r\n{}",
}


def _head(path: bytes, *fields: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: bursar.example.edu", b"Connection: close", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def payloads(path: bytes) -> Iterator[Payload]:
    """All of them, sent to that path."""
    ended = b"0\r\n\r\n" + HIDDEN
    for name, field in _ENCODINGS.items():
        yield Payload(name=f"encoding, {name}", raw=_head(path, field) + ended)
        for length, what in ((len(ended), "of all"), (5, "of the end"), (0, "of nothing")):
            counted = b"Content-Length: %d" % length
            yield Payload(name=f"encoding, {name}, length {what}", raw=_head(path, counted, field) + ended)
    for name, field in _LENGTHS.items():
        told = field % ((len(HIDDEN),) * field.count(b"%")) if b"%" in field else field
        yield Payload(name=f"length, {name}", raw=_head(path, told) + HIDDEN)
    for name, chunks in _CHUNKS.items():
        yield Payload(
            name=f"chunks, {name}", raw=_head(path, b"Transfer-Encoding: chunked") + chunks + HIDDEN
        )
    for name, head in _HEADS.items():
        raw = head % path if b"%b" in head else head
        yield Payload(name=f"head, {name}", raw=raw + HIDDEN)
