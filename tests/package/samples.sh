#!/usr/bin/env bash
# The samples that embed Atoll, built against the installed library: what plugins do, good and hostile.
source "$(dirname "$0")/../lib.sh"
prefix=$scratch/prefix
cmake --install "$(dirname "$ATOLL")" --prefix "$prefix" --strip >/dev/null || not_ok "install" "failed"
if ! { cmake -S "$root/samples/plugins" -B "$scratch/plugins" -DCMAKE_CXX_COMPILER=clang++-19 \
  -DCMAKE_PREFIX_PATH="$prefix" && cmake --build "$scratch/plugins"; } >"$scratch/log" 2>&1; then
  not_ok "plugins" "does not build"
  tail -20 "$scratch/log"
fi
cd "$root/samples/plugins" || exit 1
run_expect "plugins" 0 "$(cat "$root/tests/package/plugins.expected")" "$scratch/plugins/plugins" \
  plugins/*.atoll hostile/*.atoll no-such-file
