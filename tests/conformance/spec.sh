#!/usr/bin/env bash
# WebAssembly's own conformance scripts, in each tier and both memory strategies: all but those for SIMD, and those
# of the tail-call and extended-const proposals. They are in the folder $ATOLL_WASM_SPEC, or else in
# a folder wasm-spec of one beside the repository. One check for each script; any directive that
# fails, and any that is not run for another reason than its text format, fails it.
source "$(dirname "$0")/../lib.sh"
runner=$(dirname "$ATOLL")/wast-runner

if [[ -z ${ATOLL_WASM_SPEC:-} ]]; then
  for folder in "$root"/../*/wasm-spec; do
    if [[ -d $folder ]]; then ATOLL_WASM_SPEC=$folder; fi
  done
fi
if [[ ! -d ${ATOLL_WASM_SPEC:-} ]]; then
  skip "WebAssembly conformance" "no folder of scripts (ATOLL_WASM_SPEC names it)"
  exit
fi
if ! command -v wast2json >/dev/null; then
  skip "WebAssembly conformance" "no wast2json (Debian's package wabt)"
  exit
fi

scripts=()
for script in "$ATOLL_WASM_SPEC"/*.wast "$ATOLL_WASM_SPEC"/{tail-call,extended-const}/*.wast; do
  if [[ -e $script && $(basename "$script") != simd_* ]]; then scripts+=("$script"); fi
done
if ((${#scripts[@]} == 0)); then
  not_ok "WebAssembly conformance" "no scripts in $ATOLL_WASM_SPEC"
  exit
fi

for way in "checked interp" "guarded interp" "checked jit" "guarded jit" "checked auto" "checked hardened"; do
  read -r memory tier <<<"$way"
  "$runner" --memory $memory --tier $tier "${scripts[@]}" >"$scratch/out" 2>&1
  for script in "${scripts[@]}"; do
    name="${script#"$ATOLL_WASM_SPEC"/}, $way"
    lines=$(awk -v script="$script:" '
      index($0, script) == 1 { on = 1 }
      on && index($0, script) != 1 && !/^  / && index($0, "FAILED " script) != 1 { on = 0 }
      on || index($0, "FAILED " script) == 1' "$scratch/out")
    others=$(grep '^  not run: ' <<<"$lines" | grep -cv ': a module in the text format$')
    if ! grep -qE ': [0-9]+ passed, [0-9]+ failed' <<<"$lines"; then
      not_ok "$name" "it was not run: ${lines:-no report}"
    elif grep -q '^FAILED' <<<"$lines" || ((others > 0)); then
      not_ok "$name" "directives failed or were left out"
      sed 's/^/    /' <<<"$lines"
    else
      ok "$name"
    fi
  done
  grep '^total' "$scratch/out"
done
