#!/usr/bin/env bash
# docs/stdlib.md says what the sources of the guest's library say. `--write` makes it anew.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

# The sources of the page; what a program beside it makes is for another module alone.
shopt -s nullglob
sources=()
for source in stdlib/guest/*.atoll; do
  [[ -e ${source%.atoll}.py ]] || sources+=("$source")
done

modules() { # with one line about each: the first sentence of its first comment
  local source name
  for source in "${sources[@]}"; do
    name=std.$(basename "$source" .atoll)
    printf '| [%s](#%s) | %s |\n' "$name" "${name//./}" \
      "$("$ATOLL" doc "$source" | sed -n '3,/^$/p' | tr '\n' ' ' | sed 's/\([.:]\) .*/\1/; s/:$/./; s/ *$//')"
  done
}

page() {
  cat <<'HEAD'
# The guest's library

Generated from `stdlib/guest/*.atoll` by `tests/house/stdlib_doc.sh --write`; the tests fail when
this page is stale. `atoll doc std.NAME` prints a part of it.

A program says `use std.NAME`; only what it reaches gets into its module. The host calls of
`std.sys` have [a page of their own](hostcalls.md).

| module | what it is for |
| --- | --- |
HEAD
  modules
  local source
  for source in "${sources[@]}"; do
    echo
    "$ATOLL" doc --markdown "$source" >"$scratch/part" || return
    sed "1s/.*/## std.$(basename "$source" .atoll)/" "$scratch/part"
  done
}

if [[ ${1:-} == --write ]]; then
  page >"$scratch/stdlib.md" && cp "$scratch/stdlib.md" docs/stdlib.md
elif ! page >"$scratch/stdlib.md" 2>"$scratch/errors"; then
  not_ok stdlib-page "$(cat "$scratch/errors")"
elif diff "$scratch/stdlib.md" docs/stdlib.md >"$scratch/diff"; then
  ok stdlib-page
else
  not_ok stdlib-page "docs/stdlib.md is stale: tests/house/stdlib_doc.sh --write"
  head -10 "$scratch/diff" | sed 's/^/    /'
fi

# A library's item without `__` in its name is for everybody, and says what it does.
for source in "${sources[@]}"; do
  bare=$(awk '!/^[ \t]*(\/\/|\}|$)/ && /^(export )?(packed )?(func|struct|enum|macro|const|global|data|reserve|table|type) / &&
              !/__/ && above !~ /^\/\/\// { print FILENAME ":" FNR ": " $0 } { above = $0 }' "$source")
  check "documented/$(basename "$source")" "" "$bare"
done
