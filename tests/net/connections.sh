# `source` after lib.sh: connections COUNT SECONDS has that many clients of samples/echo at once, and checks
# that all are served and none is lost; what it costs is printed, and decides nothing but its memory.
connections() {
  local count=$1 seconds=$2 need
  need=$((count + 300))
  if (($(ulimit -n) < need)) && ! ulimit -n "$need" 2>/dev/null; then
    skip "connections/$count at once" "a process may have only $(ulimit -n) descriptors"
    return
  fi
  "$ATOLL" run --net "listen:127.0.0.1:0,connections=65536" "$root/samples/echo/echo.atoll" 127.0.0.1 >"$scratch/out" 2>"$scratch/err" &
  local server=$! port=
  for _ in $(seq 300); do
    port=$(grep -oE '[0-9]+$' "$scratch/out") && break
    sleep 0.1
  done
  if timeout 580 python3 "$root/tests/net/connections.py" "$port" "$count" "$seconds" $server >"$scratch/figures" 2>"$scratch/why"; then
    ok "connections/$count at once, all served"
  else
    not_ok "connections/$count at once, all served" "$(tail -3 "$scratch/why")"
  fi
  sed 's/^/    /' "$scratch/figures"
  kill $server
  wait $server
  check "connections/$count: the server said nothing" "" "$(grep -v interrupted "$scratch/err")"
}
