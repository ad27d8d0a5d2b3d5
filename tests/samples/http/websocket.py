"""A client of samples/http/websocket, right and wrong: `websocket.py PORT`."""

import base64
import hashlib
import os
import socket
import struct
import sys

PORT = int(sys.argv[1])
KEY = base64.b64encode(os.urandom(16)).decode()
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())


def frame(kind, data, first=0x80, mask=0x80, size=None):
    key = os.urandom(4)
    n = len(data)
    if size is None:
        size = struct.pack("B", n | mask) if n < 126 else struct.pack(">BH", 126 | mask, n) if n < 65536 \
            else struct.pack(">BQ", 127 | mask, n)
    if not mask:
        return bytes([first | kind]) + size + data
    return bytes([first | kind]) + size + key + bytes(c ^ key[i % 4] for i, c in enumerate(data))


def connect(**changes):
    fields = {"Host": "a", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade",
              "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}
    for name, value in changes.items():
        fields[name.replace("_", "-")] = value
    one = socket.create_connection(("127.0.0.1", PORT), timeout=60)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    one.sendall(f"GET / HTTP/1.1\r\n{head}\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got:
        got += one.recv(4096)
    return one, got


def rest(one):
    got = b""
    try:
        while part := one.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    return got


def talk(*frames, pieces=False):
    one, head = connect()
    assert head.startswith(b"HTTP/1.1 101 ") and ACCEPT in head, head
    for each in frames:
        if pieces:
            for at in range(0, len(each)):
                one.sendall(each[at:at + 1])
        else:
            one.sendall(each)
    return rest(one)


BYE = frame(8, struct.pack(">H", 1000) + b"bye")
print("text:", talk(frame(1, "héllo".encode()), BYE))
print("byte by byte:", talk(frame(1, b"hello"), BYE, pieces=True))
print("fragments around a ping:", talk(frame(1, "h\u20ac".encode()[:2], first=0), frame(9, b"ping"), frame(0, b"", first=0),
                                      frame(0, "h\u20ac".encode()[2:]), BYE))
for n in (0, 125, 126, 65535, 65536, 1 << 20):
    data = os.urandom(n)
    expected = frame(2, data, mask=0)
    print(n, "bytes:", talk(frame(2, data), BYE) == expected + b"\x88\x02\x03\xe8")
print("close without a code:", talk(frame(8, b"")))
print("pong:", talk(frame(10, b"x"), BYE))
for name, wrong in [("no mask", frame(1, b"x", mask=0)), ("a reserved bit", frame(1, b"x", first=0xc0)),
                    ("kind 3", frame(3, b"x")), ("kind 11", frame(11, b"x")),
                    ("a long ping", frame(9, b"x" * 126)), ("a divided ping", frame(9, b"x", first=0)),
                    ("a continuation of nothing", frame(0, b"x")),
                    ("a message in a message", frame(1, b"x", first=0) + frame(1, b"y")),
                    ("a length that is too long", frame(1, b"x", size=struct.pack(">BH", 126 | 128, 1))),
                    ("another", frame(1, b"x", size=struct.pack(">BQ", 127 | 128, 1))),
                    ("2^63", frame(1, b"x", size=struct.pack(">BQ", 127 | 128, 1 << 63))),
                    ("too big", frame(1, b"x", size=struct.pack(">BQ", 127 | 128, 1 << 40))),
                    ("half a code", frame(8, b"x")), ("code 1005", frame(8, struct.pack(">H", 1005))),
                    ("code 999", frame(8, struct.pack(">H", 999))),
                    ("a reason that is no UTF-8", frame(8, struct.pack(">H", 1000) + b"\xff")),
                    ("no UTF-8", frame(1, b"\xc3")), ("a surrogate", frame(1, b"\xed\xa0\x80"))]:
    got = talk(wrong)
    print(f"{name}:", struct.unpack(">H", got[-2:])[0] if got[:2] == b"\x88\x02" else got)
for name, changes in [("no key", {"Sec_WebSocket_Key": None}), ("a short key", {"Sec_WebSocket_Key": "eHg="}),
                      ("version 8", {"Sec_WebSocket_Version": "8"}), ("h2c", {"Upgrade": "h2c"})]:
    one, got = connect(**changes)
    print(f"{name}:", got.split(b"\r\n")[0].decode())
