#!/usr/bin/env bash
# What a restored machine has no more: locks of files, and watches.
source "$(dirname "$0")/../lib.sh"
cp "$root/tests/cli/snapshot/held.atoll" "$scratch"
cd "$scratch" || exit 1
mkdir data run
export XDG_RUNTIME_DIR=$PWD/run
within() {
  local i
  for ((i = 0; i < 600; i++)); do "$@" && return 0; sleep 0.05; done
  return 1
}
says() { [[ $("$ATOLL" logs m 2>/dev/null) == *"$1"* ]]; }
env --default-signal=INT,TERM,HUP "$ATOLL" serve &
server=$!
within test -S run/atoll.sock
for kind in dir memory; do
  {
    printf '[[machine]]\nname = "m"\nmodule = "held.atoll"\n'
    if [[ $kind == dir ]]; then
      echo 'directories = [{ host = "data", guest = "/data", access = "rw" }]'
    else
      echo 'mounts = [{ type = "memory", guest = "/data" }]'
    fi
  } >machine.toml
  "$ATOLL" create --start machine.toml && within says begun || not_ok "$kind: it runs" "$("$ATOLL" logs m)"
  run_expect "$kind: snapshot" 0 "" "$ATOLL" snapshot m held.snap
  # The one that goes on keeps both.
  within says "exit code 5" || not_ok "$kind: the watch and the lock are kept without a restore" "$("$ATOLL" logs m)"
  "$ATOLL" destroy m
  run_expect "$kind: restore" 0 "" "$ATOLL" restore --grant held.snap
  "$ATOLL" resume m
  within says "ended with"
  check_contains "$kind: without locks, and with a lost handle" "exit code 40" "$("$ATOLL" logs m)"
  check_contains "$kind: the log counts it" "1 handles name nothing any more" "$("$ATOLL" logs m)"
  "$ATOLL" destroy m
done
kill "$server"
wait "$server"
