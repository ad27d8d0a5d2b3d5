#!/usr/bin/env bash
# std.crc32 and std.sha256 against python3's zlib and coreutils, in parts of several sizes.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/tests/guest/tools/hash.atoll" -o hash.atb || exit 1

python3 -c 'import random, sys
random.seed(7); sys.stdout.buffer.write(random.randbytes(1000000))' >random
for n in {0..9} 17 {54..57} {62..66} 119 120 128 65536 65537 1000000; do
  head -c "$n" random >text
  crc=$(python3 -c 'import sys, zlib; print("%08x" % zlib.crc32(sys.stdin.buffer.read()))' <text)
  sha=$(sha256sum <text)
  for part in 1 7 65 65536; do
    ((part < 7 && n > 70000)) && continue
    check "crc32/$n/$part" "$crc" "$("$ATOLL" run hash.atb crc32 "$part" <text)"
    check "sha256/$n/$part" "${sha%% *}" "$("$ATOLL" run hash.atb sha256 "$part" <text)"
  done
done
