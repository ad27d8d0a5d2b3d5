#!/usr/bin/env bash
# WebAssembly's conformance scripts with a stop at every safepoint and threads that take turns, with
# and without fuel: the report is the same as undisturbed. Where the scripts are: see
# tests/conformance/spec.sh. conformance.sh [--seed N] [--count N]; with a count of 2 also guarded and
# with fuel.
source "$(dirname "$0")/../lib.sh"
seeded_options 1 "$@"
runner=$(dirname "$ATOLL")/wast-runner

scripts=("$root"/tests/conformance/scripts/{calls,linking}.wast)
if [[ -z ${ATOLL_WASM_SPEC:-} ]]; then
  for folder in "$root"/../*/wasm-spec; do
    if [[ -d $folder ]]; then ATOLL_WASM_SPEC=$folder; fi
  done
fi
if [[ -d ${ATOLL_WASM_SPEC:-} ]]; then
  for script in "$ATOLL_WASM_SPEC"/*.wast "$ATOLL_WASM_SPEC"/{tail-call,extended-const}/*.wast; do
    if [[ -e $script && $(basename "$script") != simd_* ]]; then scripts+=("$script"); fi
  done
else
  skip "WebAssembly's own scripts" "no folder of them (ATOLL_WASM_SPEC names it)"
fi
if ! command -v wast2json >/dev/null; then
  skip "conformance" "no wast2json (Debian's package wabt)"
  exit
fi

ways=("--memory checked" "--memory guarded --fuel")
for options in "${ways[@]:0:count}"; do
  # Unquoted: a list of words.
  plain=$("$runner" ${options% --fuel} "${scripts[@]}" 2>&1; echo "status $?")
  disturbed=$("$runner" $options --stress "$seed" "${scripts[@]}" 2>&1; echo "status $?")
  check "${#scripts[@]} scripts, $options, disturbed by seed $seed" "$plain" \
    "$(grep -v '^stress: ' <<<"$disturbed")"
  grep '^stress: ' <<<"$disturbed"
  check_contains "$options: nothing failed" "status 0" "$disturbed"
  check_contains "$options: disturbed" " stops, " "$disturbed"
done
