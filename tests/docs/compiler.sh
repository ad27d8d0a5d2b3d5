#!/usr/bin/env bash
# docs/write-a-compiler.md: its commands are run, its programs are written, assembled and laid out as
# usual; what it shows without a file's name is a part of samples/toy.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/replay.sh"
copy=$scratch/copy
mkdir -p "$copy/build/release" "$copy/samples" "$scratch/tmp"
ln -s "$ATOLL" "$copy/build/release/atoll"
cp -r "$root/samples/toy" "$copy/samples"
export TMPDIR=$scratch/tmp PYTHONDONTWRITEBYTECODE=1
cd "$copy" || exit 1

in_sample() {
  local file
  if [[ -n $2 ]]; then
    cp "$3" "$2"
    run_expect "$1/$2" 0 "" "$ATOLL" fmt --check "$2"
    return
  fi
  for file in "$root"/samples/toy/*.* "$root"/samples/toy/programs/*; do
    if has_part "$file" "$3"; then
      ok "$1 shows $(basename "$file")"
      return
    fi
  done
  not_ok "$1 shows a file" "this is in none of samples/toy:"
  sed 's/^/    /' "$3"
}
replay "$root/docs/write-a-compiler.md" write-a-compiler in_sample
