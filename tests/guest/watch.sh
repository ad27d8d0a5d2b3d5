#!/usr/bin/env bash
# std.watch: what another process does to a directory, on every file system that tells of it.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
tool=$scratch/watch.atb
"$ATOLL" asm tests/guest/tools/watch.atoll -o "$tool" || exit 1
mkdir "$scratch/host" "$scratch/below"
"$ATOLL" volume create "$scratch/volume" --size 16M >/dev/null || exit 1

expected='1  f
4  f
3 f g
2  g
1  f
2  f
6  
0
2  f
1  f
4  f
2  f
1  f
2  f'
for mount in memory: overlay:"$scratch/below" dir:"$scratch/host" volume:"$scratch/volume"; do
  for rest in "" "--workers 2"; do
    # shellcheck disable=SC2086
    run_expect "watch/${mount%%:*} $rest" 0 "$expected" \
      "$ATOLL" run $rest --mount "$mount:/w" "$tool"
  done
done
# The kernel is not asked in a confined program, which may not hear of other files.
if "$ATOLL" run --harden --mount memory::/w "$tool" >"$scratch/stdout" 2>"$scratch/stderr"; then
  check "watch/hardened" "$expected" "$(cat "$scratch/stdout")"
  rmdir "$scratch/host/d" 2>/dev/null
  run_expect "watch/hardened, a directory of the host" 2 "" \
    "$ATOLL" run --harden --mount dir:"$scratch/host":/w "$tool"
else
  skip "watch/hardened" "$(cat "$scratch/stderr")"
fi
