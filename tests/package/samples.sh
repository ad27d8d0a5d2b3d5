#!/usr/bin/env bash
# The sample that embeds Atoll for plugins, built against the installed library: what plugins do,
# good and hostile. For a sanitizer's build: with that sanitizer.
source "$(dirname "$0")/prefix.sh"
cd "$root/samples/plugins" || exit 1
run() { # NAME PROGRAM
  run_expect "$1" 0 "$(cat "$root/tests/package/plugins.expected")" \
    "$2" plugins/*.atoll hostile/*.atoll no-such-file
}
if [[ -n $sanitizer ]]; then
  # Unquoted: lists of words.
  if clang++-19 -std=c++20 -O1 -g $sanitized plugins.cpp -o "$scratch/plugins" $archives; then
    run "plugins, $sanitizer" "$scratch/plugins"
  else
    not_ok "plugins" "does not build with $sanitizer"
  fi
  exit
fi
for compiler in clang++-19 g++-12; do
  build_sample plugins "$compiler" && run "plugins, $compiler" "$scratch/plugins.$compiler/plugins"
done
