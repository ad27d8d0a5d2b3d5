"""What std.http makes of right, wrong and dangerous messages: a table by hand, and messages made from it by
chance. `http_cases.py ATOLL TOOL [SEED] [COUNT]`. The tool reads each in pieces of every kind as well."""

import random
import struct
import subprocess
import sys

H = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n"


def get(fields, rest=b""):
    return GET + fields + b"\r\n" + rest


def post(fields, body=b""):
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n" + body


def chunked(body):
    return post(b"Transfer-Encoding: chunked\r\n", body)


CHUNKED_HEAD = "3 POST / host=a [Host: a][Transfer-Encoding: chunked] body="
OK = "1 GET / host=a [Host: a] body= keep; "

# (what it is, the bytes, what comes of it): statuses of errors, or the message.
REQUESTS = [
    ("plain", get(H), OK),
    ("two at once", get(H) * 2, OK * 2),
    ("an empty line before", b"\r\n" + get(H), OK),
    ("two empty lines before", b"\r\n\r\n" + get(H), "400"),
    ("nothing", b"", "more"),
    ("no end", GET + H, "more"),
    ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", "1 GET / host=  body= close; "),
    ("HTTP/1.0, keep-alive", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
     "1 GET / host= [Connection: Keep-Alive] body= keep; "),
    ("HTTP/1.2 is like 1.1", b"GET / HTTP/1.2\r\n" + H + b"\r\n", OK),
    ("close", get(H + b"Connection: x, CLOSE ,y\r\n"),
     "1 GET / host=a [Host: a][Connection: x, CLOSE ,y] body= close; "),
    ("query", b"GET /a/b?c=d?e HTTP/1.1\r\n" + H + b"\r\n", "1 GET /a/b query=c=d?e host=a [Host: a] body= keep; "),
    ("all methods", b"".join(m + b" / HTTP/1.1\r\n" + H + b"\r\n" for m in
                             [b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"get", b"M-SEARCH"]),
     "".join(f"{n} {m} / host=a [Host: a] body= keep; " for n, m in
             [(2, "HEAD"), (3, "POST"), (4, "PUT"), (5, "DELETE"), (7, "OPTIONS"), (8, "TRACE"), (9, "PATCH"),
              (0, "get"), (0, "M-SEARCH")])),
    ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\n" + H + b"\r\n", "6 CONNECT  host=a [Host: a] body= keep; "),
    ("CONNECT to a path", b"CONNECT / HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n", "7 OPTIONS * host=a [Host: a] body= keep; "),
    ("GET *", b"GET * HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("absolute form", b"GET http://a/b?c HTTP/1.1\r\n" + H + b"\r\n", "1 GET /b query=c host=a [Host: a] body= keep; "),
    ("absolute form, no path", b"GET http://a HTTP/1.1\r\n" + H + b"\r\n", OK),
    ("absolute form, another host", b"GET http://b/ HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("absolute form, a user", b"GET http://u@a/ HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("absolute form, no host", b"GET http:///x HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("absolute form without Host", b"GET http://a/ HTTP/1.1\r\n\r\n", "400"),
    ("another scheme", b"GET ftp://a/ HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("a relative target", b"GET x HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("a fragment", b"GET /#x HTTP/1.1\r\n" + H + b"\r\n", "400"),
    # The first line.
    ("HTTP/0.9", b"GET /\r\n\r\n", "400"),
    ("HTTP/2.0", b"GET / HTTP/2.0\r\n" + H + b"\r\n", "505"),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
    ("http/1.1", b"GET / http/1.1\r\n" + H + b"\r\n", "400"),
    ("HTTP/1.10", b"GET / HTTP/1.10\r\n" + H + b"\r\n", "400"),
    ("HTTP/1,1", b"GET / HTTP/1,1\r\n" + H + b"\r\n", "400"),
    ("HTTP/01.1", b"GET / HTTP/01.1\r\n" + H + b"\r\n", "400"),
    ("two spaces", b"GET  / HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("two spaces behind", b"GET /  HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("a space at the end", b"GET / HTTP/1.1 \r\n" + H + b"\r\n", "400"),
    ("a space before", b" GET / HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("a tab for a space", b"GET\t/ HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("no method", b" / HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("a method with a colon", b"GET: / HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "400"),
    ("a NUL in the target", b"GET /\0 HTTP/1.1\r\n" + H + b"\r\n", "400"),
    ("UTF-8 in the target", "GET /é HTTP/1.1\r\n".encode() + H + b"\r\n", "400"),
    ("a target of 20,000", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n" + H + b"\r\n", "414"),
    # Ends of lines.
    ("LF alone", b"GET / HTTP/1.1\nHost: a\n\n", "400"),
    ("LF alone after a field", GET + b"Host: a\n\r\n", "400"),
    ("LF alone at the end", GET + b"Host: a\r\n\n", "400"),
    ("CR alone", GET + b"Host: a\rX: y\r\n\r\n", "400"),
    ("CR CR LF", GET + b"Host: a\r\r\n\r\n", "400"),
    ("CR alone at the end", GET + H + b"\r" + b"x", "400"),
    ("CR in the first line", b"GET /\r HTTP/1.1\r\n" + H + b"\r\n", "400"),
    # Fields.
    ("a space before the colon", get(b"Host : a\r\n"), "400"),
    ("a tab before the colon", get(b"Host\t: a\r\n"), "400"),
    ("a line that goes on", get(H + b"X: y\r\n z\r\n"), "400"),
    ("a first field that goes on", get(b" Host: a\r\n"), "400"),
    ("a line that goes on with a tab", get(H + b"X: y\r\n\tz\r\n"), "400"),
    ("no colon", get(H + b"X\r\n"), "400"),
    ("no name", get(H + b": y\r\n"), "400"),
    ("a name with a NUL", get(H + b"X\0: y\r\n"), "400"),
    ("a name in brackets", get(H + b"(X): y\r\n"), "400"),
    ("a name in UTF-8", get(H + "é: y\r\n".encode()), "400"),
    ("a NUL in a value", get(H + b"X: y\0z\r\n"), "400"),
    ("DEL in a value", get(H + b"X: y\x7fz\r\n"), "400"),
    ("a control character in a value", get(H + b"X: y\x0bz\r\n"), "400"),
    ("an empty value", get(H + b"X:\r\n"), "1 GET / host=a [Host: a][X: ] body= keep; "),
    ("spaces around a value", get(H + b"X: \t y z \t \r\n"), "1 GET / host=a [Host: a][X: y z] body= keep; "),
    ("bytes above 127 in a value", get(H + b"X: \xe9\r\n"), "1 GET / host=a [Host: a][X: \\xe9] body= keep; "),
    ("100 fields", get(H + b"X: y\r\n" * 99), "1 GET / host=a [Host: a]" + "[X: y]" * 99 + " body= keep; "),
    ("101 fields", get(H + b"X: y\r\n" * 100), "431"),
    ("a head of 17,000", get(H + b"X: " + b"y" * 17000 + b"\r\n"), "431"),
    ("a head without an end", GET + H + b"X: " + b"y" * 40000, "431"),
    # Host.
    ("no Host", GET + b"\r\n", "400"),
    ("two Hosts", get(H + H), "400"),
    ("two other Hosts", get(H + b"host: b\r\n"), "400"),
    ("an empty Host", get(b"Host:\r\n"), "400"),
    ("a Host with a path", get(b"Host: a/b\r\n"), "400"),
    ("a Host with a user", get(b"Host: u@a\r\n"), "400"),
    ("a Host with a space", get(b"Host: a b\r\n"), "400"),
    ("two in a Host", get(b"Host: a:80:80\r\n"), "400"),
    ("a Host with a port", get(b"Host: a:8080\r\n"), "1 GET / host=a:8080 [Host: a:8080] body= keep; "),
    ("a port that is none", get(b"Host: a:8x\r\n"), "400"),
    ("an overlong port", get(b"Host: a:123456\r\n"), "400"),
    ("IPv6", get(b"Host: [::1]:80\r\n"), "1 GET / host=[::1]:80 [Host: [::1]:80] body= keep; "),
    ("brackets without an end", get(b"Host: [::1\r\n"), "400"),
    ("brackets with a name", get(b"Host: [name]\r\n"), "400"),
    ("something behind brackets", get(b"Host: [::1]x\r\n"), "400"),
    # Lengths.
    ("a body", post(b"Content-Length: 3\r\n", b"abc"), "3 POST / host=a [Host: a][Content-Length: 3] body=abc keep; "),
    ("no body", post(b"Content-Length: 0\r\n"), "3 POST / host=a [Host: a][Content-Length: 0] body= keep; "),
    ("a body, and one more", post(b"Content-Length: 3\r\n", b"abc") + get(H),
     "3 POST / host=a [Host: a][Content-Length: 3] body=abc keep; " + OK),
    ("a body without a length is none", post(b"", b"abc"), "3 POST / host=a [Host: a] body= keep; more"),
    ("a short body", post(b"Content-Length: 4\r\n", b"abc"), "3 POST / host=a [Host: a][Content-Length: 4] body=abc body..."),
    ("CL twice", post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abc"), "400"),
    ("CL twice the same", post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"), "400"),
    ("CL with a comma", post(b"Content-Length: 3, 3\r\n", b"abc"), "400"),
    ("CL +3", post(b"Content-Length: +3\r\n", b"abc"), "400"),
    ("CL -3", post(b"Content-Length: -3\r\n", b"abc"), "400"),
    ("CL 0x3", post(b"Content-Length: 0x3\r\n", b"abc"), "400"),
    ("CL 3 3", post(b"Content-Length: 3 3\r\n", b"abc"), "400"),
    ("CL 3a", post(b"Content-Length: 3a\r\n", b"abc"), "400"),
    ("CL 3.0", post(b"Content-Length: 3.0\r\n", b"abc"), "400"),
    ("CL empty", post(b"Content-Length:\r\n", b"abc"), "400"),
    ("CL quoted", post(b'Content-Length: "3"\r\n', b"abc"), "400"),
    ("CL in other digits", post("Content-Length: ３\r\n".encode(), b"abc"), "400"),
    ("CL of 19 digits", post(b"Content-Length: 9999999999999999999\r\n"), "400"),
    ("CL of 2^64 + 3", post(b"Content-Length: 18446744073709551619\r\n", b"abc"), "400"),
    ("CL with 20 zeros", post(b"Content-Length: " + b"0" * 20 + b"3\r\n", b"abc"), "400"),
    ("CL and TE", post(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), "400"),
    ("TE and CL", post(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"0\r\n\r\n"), "400"),
    ("CL with a space, and TE", post(b"Content-Length : 3\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), "400"),
    ("TE with a space, and CL", post(b"Transfer-Encoding : chunked\r\nContent-Length: 3\r\n", b"abc"), "400"),
    ("TE that goes on, and CL", post(b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n", b"abc"), "501"),
    ("TE after LF alone, and CL", post(b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"abc"), "400"),
    ("TE after CR alone, and CL", post(b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"abc"), "400"),
    # Transfer-Encoding.
    ("TE of HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ("TE twice", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), "400"),
    ("TE chunked twice", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), "501"),
    ("TE identity", post(b"Transfer-Encoding: identity\r\n", b""), "501"),
    ("TE identity and CL", post(b"Content-Length: 3\r\nTransfer-Encoding: identity\r\n", b"abc"), "501"),
    ("TE gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), "501"),
    ("TE chunked, gzip", post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"), "501"),
    ("TE xchunked", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), "501"),
    ("TE chunkedx", post(b"Transfer-Encoding: chunkedx\r\n", b"0\r\n\r\n"), "501"),
    ("TE with a vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), "400"),
    ("TE with a NUL", post(b"Transfer-Encoding: chunked\0\r\n", b"0\r\n\r\n"), "400"),
    ("TE quoted", post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"), "501"),
    ("TE with a parameter", post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"), "501"),
    ("TE empty", post(b"Transfer-Encoding:\r\n", b"0\r\n\r\n"), "501"),
    ("TE with a comma", post(b"Transfer-Encoding: ,chunked\r\n", b"0\r\n\r\n"), "501"),
    ("TE CHUNKED", post(b"TRANSFER-ENCODING: CHUNKED\r\n", b"0\r\n\r\n"),
     "3 POST / host=a [Host: a][TRANSFER-ENCODING: CHUNKED] body= keep; "),
    ("a name like it", post(b"Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", b"abc"),
     "3 POST / host=a [Host: a][Transfer_Encoding: chunked][Content-Length: 3] body=abc keep; "),
    # Chunks.
    ("chunks", chunked(b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"), CHUNKED_HEAD + "abcd keep; "),
    ("chunks, and one more", chunked(b"3\r\nabc\r\n0\r\n\r\n") + get(H), CHUNKED_HEAD + "abc keep; " + OK),
    ("A and a", chunked(b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), CHUNKED_HEAD + "01234567890123456789 keep; "),
    ("zeros before", chunked(b"0003\r\nabc\r\n00\r\n\r\n"), CHUNKED_HEAD + "abc keep; "),
    ("extensions", chunked(b"3;x=\"y\";z\r\nabc\r\n0;q\r\n\r\n"), CHUNKED_HEAD + "abc keep; "),
    ("trailers", chunked(b"3\r\nabc\r\n0\r\nX: y\r\nZ: \r\n\r\n"), CHUNKED_HEAD + "abc[X: y][Z: ] keep; "),
    ("chunks without an end", chunked(b"3\r\nabc\r\n"), CHUNKED_HEAD + "abc body..."),
    ("trailers without an end", chunked(b"0\r\nX: y\r\n"), CHUNKED_HEAD + " body..."),
    ("a negative chunk", chunked(b"-3\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a chunk +3", chunked(b"+3\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a chunk 0x3", chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a chunk of g", chunked(b"g\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("no chunk size", chunked(b"\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a space before the size", chunked(b" 3\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a space behind the size", chunked(b"3 \r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a size of 2^64 + 3", chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a size of 2^32 + 3", chunked(b"100000003\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 413"),
    ("a size above the limit", chunked(b"800001\r\n"), CHUNKED_HEAD + " 413"),
    ("a size of 16 zeros", chunked(b"0" * 16 + b"\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("LF alone behind a size", chunked(b"3\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("CR alone behind a size", chunked(b"3\rabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("LF alone in an extension", chunked(b"3;x\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("CR alone in an extension", chunked(b"3;x\ry\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a NUL in an extension", chunked(b"3;\0\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("an extension of 300", chunked(b"3;" + b"x" * 300 + b"\r\nabc\r\n0\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("too many bytes in a chunk", chunked(b"3\r\nabcd\r\n0\r\n\r\n"), CHUNKED_HEAD + "abc 400"),
    ("too few bytes in a chunk", chunked(b"3\r\nab\r\n0\r\n\r\n"), CHUNKED_HEAD + "ab\\x0d 400"),
    ("LF alone behind a chunk", chunked(b"3\r\nabc\n0\r\n\r\n"), CHUNKED_HEAD + "abc 400"),
    ("CR alone behind a chunk", chunked(b"3\r\nabc\r0\r\n\r\n"), CHUNKED_HEAD + "abc 400"),
    ("LF alone at the end of chunks", chunked(b"0\r\n\n"), CHUNKED_HEAD + " 400"),
    ("CL in trailers", chunked(b"0\r\nContent-Length: 3\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("TE in trailers", chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("Host in trailers", chunked(b"0\r\nHost: b\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a trailer that goes on", chunked(b"0\r\nX: y\r\n z\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("a trailer with a space", chunked(b"0\r\nX : y\r\n\r\n"), CHUNKED_HEAD + " 400"),
    ("trailers of 17,000", chunked(b"0\r\nX: " + b"y" * 17000 + b"\r\n\r\n"), CHUNKED_HEAD + " 431"),
    # Expect.
    ("100-continue", post(b"Expect: 100-Continue\r\n"), "3 POST / host=a [Host: a][Expect: 100-Continue] body= keep; "),
    ("something else expected", post(b"Expect: x\r\n"), "417"),
]

R = b"HTTP/1.1 200 OK\r\n"
RESPONSES = [
    ("a length", R + b"Content-Length: 3\r\n\r\nabc", "200 OK [Content-Length: 3] body=abc keep; "),
    ("no length", R + b"\r\nabc", "200 OK  body=abc body..."),
    ("chunks", R + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     "200 OK [Transfer-Encoding: chunked] body=abc keep; "),
    ("no words", b"HTTP/1.1 204 \r\n\r\n", "204   body= keep; "),
    ("no space either", b"HTTP/1.1 204\r\n\r\n", "204   body= keep; "),
    ("304 with a length", b"HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n", "304 x [Content-Length: 3] body= keep; "),
    ("two", R + b"Content-Length: 0\r\n\r\n" + R + b"Content-Length: 0\r\n\r\n",
     "200 OK [Content-Length: 0] body= keep; " * 2),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "200 OK [Content-Length: 0] body= close; "),
    ("CL and TE", R + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "502"),
    ("CL twice", R + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "502"),
    ("LF alone", b"HTTP/1.1 200 OK\n\n        ", "502"),
    ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", "502"),
    ("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", "502"),
    ("status 099", b"HTTP/1.1 099 OK\r\n\r\n", "502"),
    ("status 600", b"HTTP/1.1 600 OK\r\n\r\n", "502"),
    ("HTTP/2", b"HTTP/2.0 200 OK\r\n\r\n", "502"),
    ("ICY", b"ICY 200 OK\r\n\r\n    ", "502"),
    ("a NUL", b"HTTP/1.1 200 O\0K\r\n\r\n", "502"),
    ("a line that goes on", R + b"X: y\r\n z\r\n\r\n", "502"),
]
TO_HEAD = [
    ("a length, no body", R + b"Content-Length: 3\r\n\r\n", "200 OK [Content-Length: 3] body= keep; "),
    ("chunks, no body", R + b"Transfer-Encoding: chunked\r\n\r\n", "200 OK [Transfer-Encoding: chunked] body= keep; "),
]


def run(atoll, tool, mode, cases):
    text = b"".join(struct.pack("<I", len(case)) + case for case in cases)
    done = subprocess.run([atoll, "run", tool, mode], input=text, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"not ok http/{mode}: {done.stderr.decode()}")
    return done.stdout.decode().split("\n")[:-1]


def table(atoll, tool, mode, rows):
    wrong = 0
    for (name, _, expected), got in zip(rows, run(atoll, tool, mode, [row[1] for row in rows]), strict=True):
        if got == expected:
            print(f"ok http/{mode}/{name}")
        else:
            print(f"not ok http/{mode}/{name}: expected {expected[:300]!r}, got {got[:300]!r}")
            wrong = 1
    return wrong


WORDS = [b"\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b",", b"\r\n\r\n", b"0", b"9", b"a", b";", b"\xff",
         b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", H, b"0\r\n\r\n", b"HTTP/1.1", b"GET / "]


def mutate(chance, case):
    case = bytearray(case[:400])
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(case) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            case[at:at] = chance.choice(WORDS)
        elif kind == 1:
            del case[at:at + chance.randrange(1, 4)]
        elif kind == 2 and at < len(case):
            case[at] = chance.randrange(256)
        else:
            end = chance.randrange(len(case) + 1)
            case[at:at] = case[min(at, end):max(at, end)]
    return bytes(case[:600])


def generated(atoll, tool, mode, rows, seed, count):
    chance = random.Random(seed)
    cases = [mutate(chance, chance.choice(rows)[1]) for _ in range(count)]
    lines = run(atoll, tool, mode, cases)
    bad = [(case, line) for case, line in zip(cases, lines, strict=True) if line.startswith("DIFFERENT")]
    # What nobody may read in two ways: no message has both, and none has a control character.
    for case, line in zip(cases, lines):
        for one in line.split("; "):
            head = one.split(" body=")[0].lower()
            if "[content-length:" in head and "[transfer-encoding:" in head or head.count("[content-length:") > 1 \
                    or "\\x00" in head or "\\x0d" in head or "\\x0a" in head:
                bad.append((case, line))
    for case, line in bad[:5]:
        print(f"not ok http/{mode}/generated: seed {seed}: {case!r}: {line[:300]!r}")
    if not bad:
        print(f"ok http/{mode}/generated, seed {seed}")
    return len(bad)


def main():
    atoll, tool = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 3000
    wrong = 0
    for mode, rows in [("request", REQUESTS), ("response", RESPONSES), ("head", TO_HEAD)]:
        wrong += table(atoll, tool, mode, rows)
        wrong += generated(atoll, tool, mode, rows, seed, count)
    return 1 if wrong else 0


sys.exit(main())
