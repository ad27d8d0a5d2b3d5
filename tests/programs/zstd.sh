#!/usr/bin/env bash
# zstd: its own golden files, files that its own generator makes, and real files at many levels, with
# the native one's exact output.
source "$(dirname "$0")/common.sh"
debian_source libzstd
cd "$source" || exit 1
flags=(-DXXH_NAMESPACE=ZSTD_ -DZSTD_LEGACY_SUPPORT=0 -DZSTD_DISABLE_ASM -Ilib -Ilib/common
  -Ilib/compress -Ilib/dictBuilder -Iprograms)
library=(lib/common/*.c lib/compress/*.c lib/decompress/*.c lib/dictBuilder/*.c)
both zstd "${flags[@]}" "${library[@]}" programs/*.c
# It includes the compressor.
both decodecorpus "${flags[@]}" "${library[@]/lib\/compress\/zstd_compress.c/}" programs/{util,timefn}.c tests/decodecorpus.c

for file in tests/golden-decompression/*.zst; do
  same "zstd/${file#tests/}" zstd "$file" -d -c
done
for file in tests/golden-compression/*; do
  for level in 1 19; do same "zstd/${file#tests/}/$level" zstd "$file" -$level -c; done
done
cd "$scratch" || exit 1
head -c 300000 "$place/zstd" >data
cp "$source/CHANGELOG" text
for file in data text; do
  for level in "-1 --fast=3" -1 -3 -6 -9 -13 -16 -19 "-22 --ultra --long=24"; do
    read -r -a options <<<"$level"
    same "zstd/$file/$level" zstd $file "${options[@]}" -c
  done
  run zstd -q -f $file && "$place/zstd" -q -d -f $file.zst -o back
  expect_same "zstd/$file/back" $file back
done
# Makes files of random structure and checks that they are read as they were meant.
run_expect zstd/decodecorpus 0 "" bash -c "'$ATOLL' run '$place/decodecorpus.wasm' -t -n50 -s3 >&2"
