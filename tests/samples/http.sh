#!/usr/bin/env bash
# samples/http: servers on std.http, with clients of the host's.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
servers=()
trap 'status=$?; for each in "${servers[@]}"; do kill "$each" 2>/dev/null; done; rm -rf "$scratch"
  ((status == 0 && lib_failures > 0)) && status=1; exit $status' EXIT

# start NAME COMMAND...: starts a server that says its port; sets server and port.
start() {
  local name=$1
  shift
  "$@" >"$scratch/$name.out" 2>"$scratch/$name.err" &
  server=$!
  servers+=("$server")
  for _ in $(seq 300); do
    grep -q port "$scratch/$name.out" && break
    sleep 0.1
  done
  port=$(grep -oE '[0-9]+$' "$scratch/$name.out")
  [[ -n $port ]] && return
  not_ok "http/$name/starts" "$(cat "$scratch/$name.err")"
  exit 1
}

# has TOOL: whether it is installed; else says so.
has() {
  command -v "$1" >/dev/null && return
  skip "http/$1" "no $1"
  return 1
}

# hello: what the library says to each request, byte for byte.
start hello "$ATOLL" run --net listen:127.0.0.1:0,connections=300 samples/http/hello.atoll 127.0.0.1
check "http/hello/raw" "$(cat tests/samples/http/raw.expected)" "$(timeout 120 python3 tests/samples/http/raw.py "$port")"
if has curl; then
  check "http/hello/curl" "Hello, world!" "$(curl -s -m 60 "http://127.0.0.1:$port/")"
  check "http/hello/curl, one connection" "Hello, world!
Hello, world!
1" "$(curl -s -m 60 -w '%{stderr}%{num_connects}\n' "http://127.0.0.1:$port/a" "http://127.0.0.1:$port/b" 2>"$scratch/connects"
    sort -r "$scratch/connects" | head -n 1)"
  check "http/hello/curl, HTTP/1.0" "Hello, world!" "$(curl -s -0 -m 60 "http://127.0.0.1:$port/")"
  head -c 500000 /dev/zero >"$scratch/zeros"
  check "http/hello/curl, an upload" "Hello, world!" \
    "$(curl -s -m 60 -H 'Expect:' --data-binary "@$scratch/zeros" "http://127.0.0.1:$port/" || true)"
fi
if has wrk; then
  timeout 120 wrk -t1 -c100 -d1s "http://127.0.0.1:$port/" >"$scratch/wrk" 2>&1
  check "http/hello/wrk, errors" "" "$(grep -iE 'socket errors|non-2xx' "$scratch/wrk")"
  check_contains "http/hello/wrk" "Requests/sec" "$(cat "$scratch/wrk")"
fi
kill "$server"
wait "$server" 2>/dev/null
check "http/hello/said nothing else" "atoll: interrupted" "$(cat "$scratch/hello.err")"
run_expect "http/hello/no arguments" 2 "" timeout 60 "$ATOLL" run samples/http/hello.atoll
run_expect "http/hello/refused" 1 "" timeout 60 "$ATOLL" run --net listen:127.0.0.1:1 samples/http/hello.atoll 127.0.0.1 2
check_contains "http/hello/refused, why" "hello: permission denied" "$(cat "$scratch/stderr")"

# static: files, and nothing but what is below the directory.
mkdir -p "$scratch/www/sub" "$scratch/www/empty"
printf '0123456789' >"$scratch/www/ten.txt"
printf '<h1>Index</h1>' >"$scratch/www/sub/index.html"
head -c 1000000 /dev/urandom >"$scratch/www/large.bin"
printf 'secret' >"$scratch/secret"
printf 'x' >"$scratch/www/a <b>&\"c\".txt"
ln -s ../secret "$scratch/www/out"
ln -s ten.txt "$scratch/www/in"
start static "$ATOLL" run --dir-ro "$scratch" --net listen:127.0.0.1:0,connections=300 \
  samples/http/static.atoll "$scratch/www" 127.0.0.1
if has curl; then
  web=http://127.0.0.1:$port
  # ask NAME EXPECTED ARGUMENTS...: the status, some fields, and the body.
  ask() {
    local name=$1 expected=$2
    shift 2
    check "http/static/$name" "$expected" "$(curl -si -m 60 "$@" | tr -d '\r' |
      grep -aviE '^(date|etag|last-modified|accept-ranges):')"
  }
  ask "a file" "HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Content-Length: 10

0123456789" "$web/ten.txt"
  ask "HEAD" "HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Content-Length: 10" -I "$web/ten.txt"
  ask "a link within" "HTTP/1.1 200 OK
Content-Type: application/octet-stream
Content-Length: 10

0123456789" "$web/in"
  ask "an index" "HTTP/1.1 200 OK
Content-Type: text/html; charset=utf-8
Content-Length: 14

<h1>Index</h1>" "$web/sub/"
  ask "a directory without a slash" "HTTP/1.1 301 Moved Permanently
Location: /sub/
Content-Length: 0" "$web/sub"
  for part in 2-4:2-4:234 7-:7-9:789 -3:7-9:789 8-100:8-9:89 -100:0-9:0123456789; do
    IFS=: read -r asked given text <<<"$part"
    ask "range $asked" "HTTP/1.1 206 Partial Content
Content-Range: bytes $given/10
Content-Type: text/plain; charset=utf-8
Content-Length: ${#text}

$text" -r "$asked" "$web/ten.txt"
  done
  ask "a range beyond" "HTTP/1.1 416 Range Not Satisfiable
Content-Range: bytes */10
Content-Type: text/plain; charset=utf-8
Content-Length: 0" -r 10-12 "$web/ten.txt"
  for wrong in 'bytes=4-2' 'bytes=x' 'lines=1-2' 'bytes=1-2,4-5' 'bytes=99999999999999999999-'; do
    check "http/static/range $wrong" "0123456789" "$(curl -s -m 60 -H "Range: $wrong" "$web/ten.txt")"
  done
  etag=$(curl -sI -m 60 "$web/ten.txt" | tr -d '\r' | sed -n 's/^ETag: //p')
  modified=$(curl -sI -m 60 "$web/ten.txt" | tr -d '\r' | sed -n 's/^Last-Modified: //p')
  check "http/static/date" "$(date -u -r "$scratch/www/ten.txt" '+%a, %d %b %Y %H:%M:%S GMT')" "$modified"
  for known in "If-None-Match: $etag" "If-None-Match: \"x\", W/$etag" 'If-None-Match: *' "If-Modified-Since: $modified"; do
    ask "$known" "HTTP/1.1 304 Not Modified" -H "$known" "$web/ten.txt"
  done
  for other in 'If-None-Match: "x"' "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"; do
    check "http/static/$other" "200" "$(curl -s -m 60 -o /dev/null -w '%{http_code}' -H "$other" "$web/ten.txt")"
  done
  check "http/static/If-Range" "123" "$(curl -s -m 60 -H "If-Range: $etag" -r 1-3 "$web/ten.txt")"
  check "http/static/If-Range, another" "0123456789" "$(curl -s -m 60 -H 'If-Range: "x"' -r 1-3 "$web/ten.txt")"
  curl -s -m 60 "$web/large.bin" | cmp -s - "$scratch/www/large.bin" && ok http/static/large || not_ok http/static/large "other bytes"
  for hidden in ../secret %2e%2e/secret sub/../../secret out ..%2fsecret .%00./x nothing ten.txt/x "//$scratch/secret" "%2f$scratch/secret"; do
    code=$(curl -s -m 60 --path-as-is -o "$scratch/got" -w '%{http_code}' "$web/$hidden")
    [[ $code =~ ^40[034]$ ]] && ! grep -q secret "$scratch/got" && ok "http/static/hidden $hidden" ||
      not_ok "http/static/hidden $hidden" "$code $(head -c 100 "$scratch/got")"
  done
  check "http/static/POST" "405" "$(curl -s -m 60 -o /dev/null -w '%{http_code}' -d x "$web/ten.txt")"
  check_contains "http/static/list" '<li><a href="./a%20%3Cb%3E%26%22c%22.txt">a &#60;b>&#38;&#34;c&#34;.txt</a>' \
    "$(curl -s -m 60 "$web/")"
  check "http/static/a name of the list" "x" "$(curl -s -m 60 "$web/a%20%3Cb%3E%26%22c%22.txt")"
fi
check "http/static/quiet" "" "$(cat "$scratch/static.err")"

# websocket: frames right and wrong.
start websocket "$ATOLL" run --net listen:127.0.0.1:0,connections=300 samples/http/websocket.atoll 127.0.0.1
check "http/websocket" "$(cat tests/samples/http/websocket.expected)" \
  "$(timeout 300 python3 tests/samples/http/websocket.py "$port" 2>&1)"
if has curl; then check_contains "http/websocket/page" "new WebSocket" "$(curl -s -m 60 "http://127.0.0.1:$port/")"; fi
