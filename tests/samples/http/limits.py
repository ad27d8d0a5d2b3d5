"""A client of limits.atoll: `limits.py PORT`. Prints the ends of what comes back."""

import re
import socket
import sys
import threading
import time

PORT = int(sys.argv[1])
HEAD = b" HTTP/1.1\r\nHost: a\r\n"


def connect():
    return socket.create_connection(("127.0.0.1", PORT), timeout=60)


def rest(one):
    got = b""
    try:
        while part := one.recv(65536):
            got += part
    except ConnectionResetError:
        got += b"<reset>"
    return re.sub(r"Date: [^\r]*\r\n|Content-Type: [^\r]*\r\n", "", got.decode())


def talk(text, drip=b"", more=b""):
    with connect() as one:
        one.sendall(text)
        try:
            for byte in drip:
                time.sleep(0.1)
                one.sendall(bytes([byte]))
            if more:
                time.sleep(0.3)
                one.sendall(more)
        except OSError:
            pass
        return rest(one)


def show(name, text):
    print(f"{name}: {text!r}", flush=True)


CLOSE = b"Connection: close\r\n\r\n"
show("chunks", talk(b"POST /echo" + HEAD + b"Transfer-Encoding: chunked\r\n" + CLOSE + b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"))
show("a length", talk(b"POST /echo" + HEAD + b"Content-Length: 250\r\n" + CLOSE + b"x" * 250).count("x"))
show("HTTP/1.0", talk(b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"))
show("100-continue", talk(b"POST /echo" + HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n" + CLOSE, more=b"abc"))
show("HEAD", talk(b"HEAD /echo" + HEAD + CLOSE))
show("nobody says anything", talk(b""))
show("quiet after a request", talk(b"GET /" + HEAD + b"\r\n"))
show("half a head", talk(b"GET /" + HEAD))
show("a head, slowly", talk(b"GET /" + HEAD, drip=b"X: " + b"y" * 40))
show("half a body", talk(b"POST /echo" + HEAD + b"Content-Length: 500\r\n\r\n"))
show("a body, slowly, looks whole", talk(b"POST /echo" + HEAD + b"Content-Length: 500\r\n\r\n", drip=b"x" * 30).endswith("0\r\n\r\n"))
show("a body beyond the limit", talk(b"POST /echo" + HEAD + b"Content-Length: 1001\r\n\r\n"))
show("chunks beyond the limit", talk(b"POST /echo" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n"))
show("six requests", talk((b"GET /" + HEAD + b"\r\n") * 6).count("200 OK"))
show("a trap", talk(b"GET /trap" + HEAD + b"\r\n"))
show("after it", talk(b"GET /" + HEAD + CLOSE))

# Two are served, the third waits.
ends = []


def sleeper(name):
    began = time.monotonic()
    talk(b"GET /sleep" + HEAD + CLOSE)
    ends.append(time.monotonic() - began)


threads = [threading.Thread(target=sleeper, args=(i,)) for i in range(3)]
for each in threads: each.start()
for each in threads: each.join()
print("three with room for two:", any(each >= 1.9 for each in ends))

# Stops: what is begun is done, what is quiet ends.
busy, quiet = connect(), connect()
quiet.sendall(b"GET /" + HEAD + b"\r\n")
quiet.recv(4096)
busy.sendall(b"GET /sleep" + HEAD + b"\r\nGET /stop" + HEAD + b"\r\n")
show("stops, busy", rest(busy).count("200 OK"))
show("stops, quiet", rest(quiet))
