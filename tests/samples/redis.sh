#!/usr/bin/env bash
# samples/redis: redis-cli and redis-benchmark where there are, and a client of our own: requests in pieces, many at once, malformed
# ones, limits, and commands at random beside a model of them.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
"$ATOLL" run --net listen:127.0.0.1:0 samples/redis/redis.atoll 127.0.0.1 >"$scratch/out" 2>"$scratch/err" &
server=$!
for _ in $(seq 300); do
  grep -q port "$scratch/out" && break
  sleep 0.1
done
port=$(grep -oE '[0-9]+$' "$scratch/out")
if [[ -z $port ]]; then
  not_ok "redis/starts" "$(cat "$scratch/err")"
  kill $server
  exit 1
fi

got=$(timeout 300 python3 - "$port" <<'PYTHON'
import random, socket, sys, time
port = int(sys.argv[1])

def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=60)

def request(*words):
    out = b"*%d\r\n" % len(words)
    for each in words:
        each = each if isinstance(each, bytes) else str(each).encode()
        out += b"$%d\r\n%s\r\n" % (len(each), each)
    return out

class Client:
    def __init__(self):
        self.socket = connect()
        self.file = self.socket.makefile("rb")
    def answer(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            if rest == b"-1": return None
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b"*": return None if rest == b"-1" else [self.answer() for _ in range(int(rest))]
        if kind == b":": return int(rest)
        return line[:-2].decode()  # a status, an error, or nothing at the end
    def __call__(self, *words):
        self.socket.sendall(request(*words))
        return self.answer()

c = Client()
print(c("PING"), c("ping", "hi"), c("ECHO", b"\0\r\n\xff"), c("NONE"), c("GET"), c("A" * 100))
print(c("SET", "k", "v"), c("SET", "k", "w", "NX"), c("SET", "n", "1", "XX"), c("SET", "k", "w", "XX"), c("GET", "k"), c("SET", "k", "x", "NX", "XX"))
print(c("SET", "k", "x", "EX", "0"), c("SET", "k", "x", "EX"), c("SET", "k", "x", "PX", "a"), c("SET", "k", "x", "EX", "100"), c("TTL", "k"), c("PERSIST", "k"), c("TTL", "k"), c("TTL", "none"))
print(c("SET", "t", "x", "PX", "20"), c("EXISTS", "t", "t", "k"), time.sleep(0.1), c("EXISTS", "t"), c("GET", "t"), c("TYPE", "t"))
print(c("EXPIRE", "k", "-1"), c("GET", "k"), c("EXPIRE", "k", "9"))
print(c("INCR", "n"), c("INCRBY", "n", 41), c("DECR", "n"), c("DECRBY", "n", 100), c("INCRBY", "n", "x"), c("SET", "n", 2**63 - 1), c("INCR", "n"), c("SET", "n", "01"), c("INCR", "n"))
print(c("APPEND", "s", "abc"), c("APPEND", "s", "def"), c("STRLEN", "s"), c("GETSET", "s", "new"), c("GETDEL", "s"), c("GET", "s"), c("MSET", "a", 1, "b", 2), c("MGET", "a", "b", "c"), c("MSET", "a"))
print(c("RPUSH", "l", 1, 2, 3), c("LPUSH", "l", 0), c("LRANGE", "l", 0, -1), c("LRANGE", "l", -2, 99), c("LRANGE", "l", 3, 1), c("LINDEX", "l", -1), c("LPOP", "l"), c("RPOP", "l", 9), c("LPOP", "l"), c("LPOP", "l", 2), c("EXISTS", "l"))
print(c("HSET", "h", "f", 1, "g", 2), c("HSET", "h", "f", 3), c("HGET", "h", "f"), c("HGET", "h", "x"), c("HLEN", "h"), c("HGETALL", "h"), c("HDEL", "h", "f", "x"), c("HEXISTS", "h", "g"), c("HDEL", "h", "g"), c("EXISTS", "h"), c("HSET", "h", "f"))
print(c("LPUSH", "a", 1), c("HSET", "a", 1, 1), c("RPUSH", "l", 1), c("GET", "l"), c("TYPE", "l"), c("SET", "l", "s"), c("TYPE", "l"))
print(c("FLUSHALL"), c("DBSIZE"), c("MSET", "one", 1, "two", 2, "three", 3, "a*b", 4), c("KEYS", "t*"), c("KEYS", "?n?"), c("KEYS", "[a-o]*"), c("KEYS", "[^a-o]*"), c("KEYS", r"a\*b"), c("KEYS", "*e*e"), c("SCAN", 0, "MATCH", "o*", "COUNT", 5), c("DBSIZE"))
print(c("KEYS", "*" * 1000 + "z"), c("CONFIG", "GET", "save"), c("COMMAND"), c("SELECT", 0), c("SELECT", 1), c("INFO")[:8])

# In pieces of any size, with other requests behind them; lines of words.
data = b"".join(request("SET", f"p{i}", "x" * (i * 37 % 3000)) + f"GET p{i}\r\n".encode() + b"\r\n" for i in range(300))
def send_pieces():
    at = 0
    while at < len(data):
        size = random.choice([1, 2, 7, 100, 5000])
        c.socket.sendall(data[at:at + size])
        at += size
import threading
sender = threading.Thread(target=send_pieces)
sender.start()
print(all(c.answer() == "+OK" and c.answer() == b"x" * (i * 37 % 3000) for i in range(300)))
sender.join()
# A large one, and answers larger than are sent at once.
large = random.randbytes(3 << 20)
print(c("SET", "large", large), c("GET", "large") == large)
c.socket.sendall(request("GET", "large") * 20)
print(all(c.answer() == large for _ in range(20)), c("DEL", "large"))
# Who does not read holds up nobody.
slow = Client()
slow.socket.sendall(request("MSET", "large", large))
print(slow.answer())
slow.socket.sendall(request("GET", "large") * 50)
print(all(c("PING") == "+PONG" for _ in range(1000)))
print(all(slow.answer() == large for _ in range(50)), c("DEL", "large"))

for wrong in (b"*1\r\n+4\r\nPING\r\n", b"*1\r\n$-1\r\n", b"*x\r\n", b"*99999999\r\n", b"*1\r\n$4\r\nPINGPING", b"*1\r\n$600000000\r\n",
              b"*1\n$4\r\nPING\r\n", b"*1\r\n$" + b"1" * 40, b"x" * 70000, b"*2\r\n$3\r\nGET\r\n$9000000\r\n" + b"x" * 9000000):
    with connect() as one:
        try:
            one.sendall(b"PING\r\n" + wrong)
        except OSError:
            pass
        try:
            got = b""
            while part := one.recv(1000): got += part
        except OSError:
            pass
        print(got)
quitter = Client()
print(quitter("QUIT"), repr(quitter.answer()))

# At random, beside a model.
seed = 1
rng = random.Random(seed)
model = {}
c("FLUSHALL")
words = [b"%d" % i for i in range(20)] + [b"", b"\0", b"x" * 500]
def of(key, kind):
    value = model.get(key)
    if value is not None and not isinstance(value, kind): raise TypeError
    return value
def expected(name, key, a, b):
    if name == "SET":
        model[key] = a
        return "+OK"
    if name == "GET": return of(key, bytes)
    if name == "DEL": return int(model.pop(key, None) is not None)
    if name == "APPEND":
        model[key] = (of(key, bytes) or b"") + a
        return len(model[key])
    if name == "STRLEN": return len(of(key, bytes) or b"")
    if name in ("LPUSH", "RPUSH"):
        value = of(key, list) or []
        model[key] = [b, a] + value if name == "LPUSH" else value + [a, b]
        return len(model[key])
    if name in ("LPOP", "RPOP"):
        value = of(key, list)
        if value is None: return None
        result = value.pop(0 if name == "LPOP" else -1)
        if not value: del model[key]
        return result
    if name == "LRANGE": return list(of(key, list) or [])
    if name == "HSET":
        value = of(key, dict)
        if value is None: value = model[key] = {}
        is_new = a not in value
        value[a] = b
        return int(is_new)
    if name == "HGET": return (of(key, dict) or {}).get(a)
    if name == "HDEL":
        value = of(key, dict) or {}
        gone = int(value.pop(a, None) is not None)
        if key in model and not value: del model[key]
        return gone
    if name == "HGETALL": return of(key, dict) or {}
takes = {"SET": 2, "GET": 1, "DEL": 1, "APPEND": 2, "STRLEN": 1, "LPUSH": 3, "RPUSH": 3, "LPOP": 1, "RPOP": 1, "LRANGE": 1, "HSET": 3, "HGET": 2, "HDEL": 2, "HGETALL": 1}
bad = 0
for turn in range(100):
    calls = []
    for _ in range(100):
        name = rng.choice(list(takes))
        key, a, b = (rng.choice(words) for _ in range(3))
        calls.append((name, key, a, b))
    c.socket.sendall(b"".join(request(name, *([key, a, b][:takes[name]] + ([0, -1] if name == "LRANGE" else []))) for name, key, a, b in calls))
    for name, key, a, b in calls:
        try:
            want = expected(name, key, a, b)
        except TypeError:
            want = "-WRONGTYPE Operation against a key holding the wrong kind of value"
        got = c.answer()
        if isinstance(want, dict): got = dict(zip(got[::2], got[1::2])) if isinstance(got, list) else got
        if got != want:
            bad += 1
            print("seed", seed, "turn", turn, name, key, a, b, "gave", got, "not", want)
    if c("DBSIZE") != len(model): bad += 1
print(bad)
PYTHON
)
check redis/commands "$(cat tests/samples/redis.expected)" "$got"
if command -v redis-cli >/dev/null; then
  cli() { timeout 60 redis-cli -p "$port" "$@"; }
  check redis/redis-cli "OK
value
(nil)
(integer) 3
1) \"a\"
2) \"b\"
3) \"c\"
(error) WRONGTYPE Operation against a key holding the wrong kind of value" \
    "$(cli flushall >/dev/null; cli set key value; cli get key; cli --no-raw get none; cli --no-raw rpush list a b c; cli --no-raw lrange list 0 -1; cli --no-raw get list)"
  check redis/redis-cli-pipe "errors: 0, replies: 10000" \
    "$(for i in {1..10000}; do printf 'SET key%d %d\r\n' "$i" "$i"; done | cli --pipe 2>&1 | tail -1)"
  check redis/redis-cli-pipe-arrived 10002 "$(cli dbsize)"
else
  skip redis/redis-cli "no redis-cli (apt-get install redis-tools)"
fi
if command -v redis-benchmark >/dev/null; then
  timeout 200 redis-benchmark -p "$port" -q -n 2000 -c 50 -P 4 -t ping,set,get,incr,lpush,rpush,lpop,rpop,hset,lrange_100,mset 2>&1 | tr '\r' '\n' >"$scratch/benchmark"
  check redis/redis-benchmark "at least 12" "$(awk '/requests per second/ { n++ } END { print (n >= 12 ? "at least 12" : n + 0) }' "$scratch/benchmark")"
  check redis/redis-benchmark-errors "" "$(grep -i err "$scratch/benchmark")"
else
  skip redis/redis-benchmark "no redis-benchmark (apt-get install redis-tools)"
fi
kill $server
wait $server
check redis/quiet "" "$(grep -v interrupted "$scratch/err")"
