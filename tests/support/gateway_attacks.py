"""Requests on whose end two readers could disagree, by name: what the gateway must refuse, and with which status.

The request smuggling corpus: CL.TE, TE.CL and TE.TE in their variants, lengths that are given twice or not as a number,
line ends and control bytes that some readers take for others, targets and hosts that contradict each other, and what is
larger than the limits. Used by the suite between fake transports and by the one on real sockets.
"""

from __future__ import annotations

HOST = b"Host: gw:8080\r\n"
SMUGGLING = {
    "CL.TE": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
        400,
    ),
    "TE.CL": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST",
        400,
    ),
    "TE.TE": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n",
        501,
    ),
    "TE folded": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 501),
    "TE vertical tab": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "TE space before colon": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "TE in a line of its own": (
        b"POST / HTTP/1.1\r\n" + HOST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "TE identity": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", 501),
    "TE in 1.0": (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400),
    "two equal lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    "list of lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nxyz", 400),
    "signed length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nxyz", 400),
    "bare LF": (b"GET / HTTP/1.1\nHost: gw\n\n", 400),
    "bare LF in headers": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nC: d\r\n\r\n", 400),
    "bare CR": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rC: d\r\n\r\n", 400),
    "NUL": (b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n", 400),
    "NUL in target": (b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "obs-fold": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", 400),
    "fold first": (b"GET / HTTP/1.1\r\n " + HOST + b"\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "host and target differ": (b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    "absolute without host": (b"GET http://a/ HTTP/1.1\r\n\r\n", 400),
    "empty line first": (b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    "unknown method": (b"BREW /pot HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 505),
    "expectation": (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: tea\r\nContent-Length: 1\r\n\r\nx", 417),
    "TE twice": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    "TE list": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501),
    "TE prefixed": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "TE quoted": (b"POST / HTTP/1.1\r\n" + HOST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', 501),
    "TE with parameter": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 501),
    "TE tab before colon": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE after NUL": (b"POST / HTTP/1.1\r\n" + HOST + b"X: \x00\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE behind a bare CR": (b"POST / HTTP/1.1\r\n" + HOST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE nominated away": (
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        400,
    ),
    "CL.TE in lower case": (
        b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 5\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n",
        400,
    ),
    "CL.CL.TE": (
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "empty length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\nxyz", 400),
    "negative length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\nxyz", 400),
    "hexadecimal length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\nxyz", 400),
    "length beyond 64 bits": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 18446744073709551619\r\n\r\nxyz", 400),
    "length with a form feed": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\x0c\r\n\r\nxyz", 400),
    "oversized body": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999\r\n\r\nxyz", 413),
    "oversized target": (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "oversized head": (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 2_100_000 + b"\r\n\r\n", 431),
    "too many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 600 + b"\r\n", 431),
}

_CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
_HIDDEN = b"GET /hidden HTTP/1.1\r\n" + HOST + b"\r\n"
# Chunked bodies that some reader ends elsewhere, each with a request where that reader would go on.
CHUNK_ATTACKS = {
    "bare LF after the size": _CHUNKED + b"1\nx\r\n0\r\n\r\n" + _HIDDEN,
    "bare LF after an extension": _CHUNKED + b"1;a\nx\r\n0\r\n\r\n" + _HIDDEN,
    "bare CR after an extension": _CHUNKED + b"1;a\rb\r\nx\r\n0\r\n\r\n" + _HIDDEN,
    "bare LF after the data": _CHUNKED + b"1\r\nx\n0\r\n\r\n" + _HIDDEN,
    "data longer than its size": _CHUNKED + b"1\r\nxy\r\n0\r\n\r\n" + _HIDDEN,
    "no line end after the data": _CHUNKED + b"1\r\nx0\r\n\r\n" + _HIDDEN,
    "size with a sign": _CHUNKED + b"+1\r\nx\r\n0\r\n\r\n" + _HIDDEN,
    "size with 0x": _CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n" + _HIDDEN,
    "size with an underscore": _CHUNKED + b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n" + _HIDDEN,
    "size with a space": _CHUNKED + b"1 \r\nx\r\n0\r\n\r\n" + _HIDDEN,
    "size beyond 64 bits": _CHUNKED + b"10000000000000001\r\nx\r\n0\r\n\r\n" + _HIDDEN,
    "no size": _CHUNKED + b"\r\nx\r\n0\r\n\r\n" + _HIDDEN,
    "trailer with a length": _CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n" + _HIDDEN,
    "trailer with a coding": _CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n" + _HIDDEN,
    "trailer with a bare LF": _CHUNKED + b"0\r\nA: b\n\r\n\r\n" + _HIDDEN,
    "folded trailer": _CHUNKED + b"0\r\n b\r\n\r\n" + _HIDDEN,
    "last line of bare LFs": _CHUNKED + b"0\n\n" + _HIDDEN,
}
