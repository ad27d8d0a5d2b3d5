#!/usr/bin/env bash
# samples/dns against a small name server of the test's own: what dig makes of it where there is one, answers by connections, lost and
# forged datagrams, malformed answers.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
cat >"$scratch/server.py" <<'PYTHON'
import random, socket, struct, sys, threading
A, NS, CNAME, PTR, MX, TXT, AAAA = 1, 2, 5, 12, 15, 16, 28
def name(text):
    return b"".join(bytes([len(each)]) + each for each in text.encode().split(b".") if each) + b"\0"
def text(*parts):
    return b"".join(bytes([len(each)]) + each for each in parts)
v6 = lambda each: socket.inet_pton(socket.AF_INET6, each)
zone = {
    ("example.org", A): [("example.org", A, bytes([192, 0, 2, 1])), ("example.org", A, bytes([192, 0, 2, 255]))],
    ("example.org", AAAA): [("example.org", AAAA, v6(each)) for each in ("2001:db8::1", "::", "::1", "1::", "1:0:0:2:0:0:0:3", "1:2:3:4:5:6:7:8", "0:1::", "fe80:0:1:0:1:0:1:0")],
    ("www.example.org", A): [("www.example.org", CNAME, b"\4host\xc0\x10"), ("host.example.org", A, bytes([10, 0, 0, 1]))],
    ("example.org", MX): [("example.org", MX, b"\0\x0a" + name("mail.example.org")), ("example.org", MX, b"\0\x14\4back\xc0\x0c")],
    ("example.org", TXT): [("example.org", TXT, text(b"v=spf1 -all", b'q"uo\\te', b"\x01\xff", b""))],
    ("example.org", NS): [("example.org", NS, name("ns." + "a" * 63 + ".example.org"))],
    ("1.2.0.192.in-addr.arpa", PTR): [("1.2.0.192.in-addr.arpa", PTR, b"\3a.b" + name("example.org"))],
    ("empty.example.org", A): [],
    ("large.example.org", TXT): [("large.example.org", TXT, text(bytes([65 + i % 26]) * 200)) for i in range(100)],
}
tries = {}
def question(packet):
    at, labels = 12, []
    while size := packet[at]:
        labels.append(packet[at + 1:at + 1 + size].decode("latin1"))
        at += size + 1
    return ".".join(labels), struct.unpack(">H", packet[at + 1:at + 3])[0], at + 5
def answer(packet, by_datagram):
    asked, kind, end = question(packet)
    records = zone.get((asked.lower(), kind))
    status = 0 if records is not None else 3
    if asked.startswith("refused"): status = 5
    out = b""
    for owner, each, data in records or []:
        out += (b"\xc0\x0c" if owner == asked else name(owner)) + struct.pack(">HHIH", each, 1, 300, len(data)) + data
    count = len(records or [])
    cut = by_datagram and len(out) > 500
    if cut: out, count = b"", 0
    return packet[:2] + bytes([0x85 | (2 if cut else 0), 0x80 | status]) + struct.pack(">HHHH", 1, count, 0, 0) + packet[12:end] + out
bad = {  # records, and their number, that are malformed
    "loop": (b"\xc0\x2e" + struct.pack(">HHIH", A, 1, 1, 4) + b"\1\2\3\4", 1),
    "ahead": (b"\xc0\xff" + struct.pack(">HHIH", A, 1, 1, 4) + b"\1\2\3\4", 1),
    "short": (b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 1, 3) + b"\1\2\3", 1),
    "long": (b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 1, 400) + b"\1\2\3", 1),
    "few": (b"", 9),
    "label": (b"\x40a\0" + struct.pack(">HHIH", A, 1, 1, 4) + b"\1\2\3\4", 1),
    "text": (b"\xc0\x0c" + struct.pack(">HHIH", TXT, 1, 1, 3) + b"\5ab", 1),
    "tail": (b"\xc0", 1),
}
def datagrams():
    while True:
        packet, to = udp.recvfrom(4096)
        asked = question(packet)[0]
        first = asked.split(".")[0]
        if first == "silent": continue
        if first == "lost":
            tries[asked] = tries.get(asked, 0) + 1
            if tries[asked] < 2: continue
            packet = packet[:12] + name("example.org") + b"\0\1\0\1"
            asked_again = answer(packet, True)
            udp.sendto(asked_again[:12] + name(asked) + b"\0\1\0\1" + asked_again[12 + 17:].replace(b"\xc0\x0c", b"\xc0\x0c"), to)
            continue
        if first == "forged":
            right = answer(packet[:12] + name("example.org") + b"\0\1\0\1", True)
            right = right[:12] + name(asked) + b"\0\1\0\1" + right[12 + 17:]
            for wrong in (b"", right[:5], bytes([right[0] ^ 1]) + right[1:], right[:13] + b"X" + right[14:], right[:2] + b"\0" + right[3:]):
                udp.sendto(wrong, to)
            other.sendto(right.replace(bytes([192, 0, 2, 1]), bytes([6, 6, 6, 6])), to)
            udp.sendto(right, to)
            continue
        if first in bad:
            records, count = bad[first]
            udp.sendto(packet[:2] + b"\x85\x80" + struct.pack(">HHHH", 1, count, 0, 0) + packet[12:] + records, to)
            continue
        udp.sendto(answer(packet, True), to)
def connections():
    while True:
        one, _ = tcp.accept()
        with one, one.makefile("rb") as file:
            while head := file.read(2):
                out = answer(file.read(struct.unpack(">H", head)[0]), False)
                whole = struct.pack(">H", len(out)) + out
                one.sendall(whole[:1])
                one.sendall(whole[1:700])
                one.sendall(whole[700:])
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other.bind(("127.0.0.1", 0))
while True:
    tcp = socket.create_server(("127.0.0.1", 0))
    try:
        udp.bind(tcp.getsockname())
        break
    except OSError:
        tcp.close()
for each in (datagrams, connections): threading.Thread(target=each, daemon=True).start()
print(tcp.getsockname()[1], flush=True)
sys.stdin.read()
PYTHON
mkfifo "$scratch/stop"
python3 "$scratch/server.py" <"$scratch/stop" >"$scratch/port" &
server=$!
exec 9>"$scratch/stop"
for _ in $(seq 200); do
  [[ -s $scratch/port ]] && break
  sleep 0.1
done
port=$(<"$scratch/port")
ask() { timeout 60 "$ATOLL" run --net "udp:127.0.0.1:*,connect:127.0.0.1:$port" samples/dns/dns.atoll 127.0.0.1 "$port" "$@"; }

run_expect dns/A 0 "example.org. 300 IN A 192.0.2.1
example.org. 300 IN A 192.0.2.255" ask example.org
run_expect dns/AAAA 0 "$(for each in 2001:db8::1 :: ::1 1:: 1:0:0:2::3 1:2:3:4:5:6:7:8 0:1:: fe80:0:1:0:1:0:1:0; do echo "example.org. 300 IN AAAA $each"; done)" ask example.org AAAA
run_expect dns/CNAME 0 "www.example.org. 300 IN CNAME host.example.org.
host.example.org. 300 IN A 10.0.0.1" ask www.example.org
run_expect dns/MX 0 "example.org. 300 IN MX 10 mail.example.org.
example.org. 300 IN MX 20 back.example.org." ask example.org. mx
run_expect dns/TXT 0 'example.org. 300 IN TXT "v=spf1 -all" "q\"uo\\te" "\001\255" ""' ask example.org TXT
run_expect dns/PTR 0 '1.2.0.192.in-addr.arpa. 300 IN PTR a\.b.example.org.' ask 1.2.0.192.in-addr.arpa PTR
run_expect "dns/no records" 0 "" ask empty.example.org
run_expect "dns/large, by a connection" 0 "$(for i in {0..99}; do printf 'large.example.org. 300 IN TXT "%s"\n' "$(printf "%200s" "" | tr ' ' "$(printf "\\$(printf %o $((65 + i % 26)))")")"; done)" ask large.example.org TXT
run_expect "dns/no such name" 1 "" ask none.example.org
check "dns/no such name, why" "status: NXDOMAIN" "$(cat "$scratch/stderr")"
run_expect dns/refused 1 "" ask refused.example.org
check "dns/refused, why" "status: REFUSED" "$(cat "$scratch/stderr")"
run_expect "dns/a lost datagram" 0 "lost. 300 IN A 192.0.2.1
lost. 300 IN A 192.0.2.255" ask lost
run_expect "dns/forged answers" 0 "forged. 300 IN A 192.0.2.1
forged. 300 IN A 192.0.2.255" ask forged
run_expect "dns/no answer" 3 "" ask silent
for each in loop ahead short long few label text tail; do
  run_expect "dns/malformed: $each" 1 "$(if [[ $each == short ]]; then echo "short. 1 IN A "; elif [[ $each == text ]]; then echo 'text. 1 IN TXT "'; fi | sed 's/"$//')" ask $each
  check "dns/malformed: $each, why" "dns: the answer is malformed" "$(cat "$scratch/stderr")"
done
for wrong in "" "a" "a..b" ".a" "$(printf 'a%.0s' {1..64})" "$(printf 'abcdefgh.%.0s' {1..30})"; do
  code=0
  if [[ $wrong == a ]]; then set -- "$wrong" BOGUS; else set -- "$wrong"; fi
  [[ -z $wrong ]] && continue
  run_expect "dns/wrong: $*" 2 "" ask "$@"
done
run_expect "dns/not granted" 3 "" timeout 60 "$ATOLL" run --net udp:127.0.0.2:53 samples/dns/dns.atoll 127.0.0.1 "$port" example.org
check_contains "dns/not granted, why" "refused to send datagrams to 127.0.0.1:$port" "$(cat "$scratch/stderr")"
if command -v dig >/dev/null; then
  for each in "example.org A" "example.org AAAA" "example.org MX" "example.org TXT" "example.org NS" "www.example.org A" "large.example.org TXT" "1.2.0.192.in-addr.arpa PTR"; do
    # shellcheck disable=SC2086
    check "dns/dig: $each" "$(timeout 60 dig @127.0.0.1 -p "$port" +noall +answer +noedns +nocookie $each | sed -E 's/^([^ \t]+)[ \t]+([0-9]+)[ \t]+IN[ \t]+([A-Z]+)[ \t]+/\1 \2 IN \3 /')" "$(ask $each)"
  done
else
  skip dns/dig "no dig (apt-get install bind9-dnsutils)"
fi
exec 9>&-
wait $server
