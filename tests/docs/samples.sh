#!/usr/bin/env bash
# What samples/README.md shows of the programs in assembly is what they print.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/replay.sh"
mkdir -p "$scratch/clone/build/release"
cd "$scratch/clone" || exit 1
cp -r "$root/samples" "$root/LICENSE" "$root/.clang-format" .
ln -s "$ATOLL" build/release/atoll
printf '#!/bin/sh\nshift\nexec %q run --dir-ro . "$@"\n' "$ATOLL" >dev
chmod +x dev

# Without what never ends, and with files in a folder of the test's own.
sed "/^## Programs that embed/,\$d; /--watch/d; s|/tmp/|$scratch/|g; s|/tmp |$scratch |g" \
  samples/README.md >page.md
command -v file >/dev/null || sed -i 's/ && file .*//; /PNG image data/d' page.md
no_file() { not_ok "$1" "a block of source text"; }
replay page.md samples no_file
