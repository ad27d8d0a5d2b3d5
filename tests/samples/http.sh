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
