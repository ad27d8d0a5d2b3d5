#!/usr/bin/env bash
# docs/processes.md is followed word for word: its files are written, its commands run, and what
# they print must be what the page shows.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/replay.sh"
mkdir "$scratch/bin" "$scratch/processes"
ln -s "$ATOLL" "$scratch/bin/atoll"
export PATH=$scratch/bin:$PATH
cd "$scratch/processes" || exit 1

write_file() {
  cp "$3" "$2"
  ok "$1/$2"
}
replay "$root/docs/processes.md" processes write_file
