#!/usr/bin/env bash
# tests/fuzz.sh NAME|"" SECONDS [SEED]: runs one fuzzer, or all, on the kept corpus and on what
# earlier runs found (build/fuzz/NAME). Stops at the first bad input, which it leaves in build/fuzz.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ran=0
for source in tests/fuzz/*_fuzz.cpp; do
  name=$(basename "$source" _fuzz.cpp)
  [[ -e $source && (-z $1 || $name == "$1") ]] || continue
  folders=("build/fuzz/$name")
  mkdir -p "${folders[0]}"
  if [[ -d tests/fuzz/corpus/$name ]]; then folders+=("tests/fuzz/corpus/$name"); fi
  dictionary=()
  if [[ -e tests/fuzz/$name.dict ]]; then dictionary=("-dict=tests/fuzz/$name.dict"); fi
  echo "fuzz $name: $2 s"
  "build/asan/bin/${name}_fuzz" "${folders[@]}" "${dictionary[@]}" -max_total_time="$2" -seed="${3:-0}" \
    -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build/fuzz/$name-" 2>&1
  ran=$((ran + 1))
done
((ran)) || { echo "no fuzzer '$1' in tests/fuzz" && exit 1; }
