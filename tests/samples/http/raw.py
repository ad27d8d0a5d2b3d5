"""Raw requests to a server of samples/http: `http_raw.py PORT`. Prints what comes back, less the dates."""

import re
import socket
import sys
import time

PORT = int(sys.argv[1])


def talk(*parts, pause=0.0, end=True):
    """Sends the parts, then reads until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=60) as one:
        try:
            for part in parts:
                one.sendall(part)
                time.sleep(pause)
            if end:
                one.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = b""
        try:
            while part := one.recv(65536):
                got += part
        except ConnectionResetError:
            got += b"<reset>"
    return re.sub(r"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", "", got.decode())


def show(name, text):
    print(f"{name}: {text!r}")


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
show("three at once", talk(GET + GET + CLOSE))
show("byte by byte", talk(*[bytes([each]) for each in CLOSE], end=False))
show("in the middle of two", talk(GET[:9], GET[9:] + CLOSE[:20], CLOSE[20:], pause=0.01))
show("HTTP/1.0", talk(b"GET / HTTP/1.0\r\n\r\n", end=False))
show("HTTP/1.0 keep-alive", talk(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + CLOSE))
show("HEAD", talk(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", end=False))
show("a body that nobody wants", talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + CLOSE))
show("chunks that nobody wants",
     talk(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + CLOSE))
show("a body beyond the limit", talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n", end=False))
show("wrong chunks", talk(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n" + CLOSE))
show("Expect, nobody wants it", talk(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"))
for name, text in [("no Host", b"GET / HTTP/1.1\r\n\r\n"), ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
                   ("CL and TE", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                   ("something expected", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"),
                   ("a long target", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n"),
                   ("a long field", b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n"),
                   ("gzip", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n")]:
    show(name, talk(text + GET, end=False))
show("half a head", talk(b"GET / HTTP/1.1\r\nHo"))
show("nothing", talk())
