#!/usr/bin/env bash
# The sample that embeds Atoll for plugins, built against the installed library: what plugins do,
# good and hostile.
source "$(dirname "$0")/prefix.sh"
cd "$root/samples/plugins" || exit 1
for compiler in clang++-19 g++-12; do
  build_sample plugins "$compiler" || continue
  run_expect "plugins, $compiler" 0 "$(cat "$root/tests/package/plugins.expected")" \
    "$scratch/plugins.$compiler/plugins" plugins/*.atoll hostile/*.atoll no-such-file
done
