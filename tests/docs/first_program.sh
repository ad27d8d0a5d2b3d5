#!/usr/bin/env bash
# docs/first-program.md is followed word for word: its files are written, its commands run, and what
# they print must be what the page shows.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/replay.sh"
mkdir "$scratch/bin" "$scratch/first"
ln -s "$ATOLL" "$scratch/bin/atoll"
export PATH=$scratch/bin:$PATH
cd "$scratch/first" || exit 1

write_file() {
  cp "$3" "$2"
  ok "$1/$2"
}
replay "$root/docs/first-program.md" first-program write_file
