#!/usr/bin/env bash
# bzip2: the comparisons of its own Makefile, and real files both ways.
source "$(dirname "$0")/common.sh"
debian_source bzip2
cd "$source" || exit 1
both bzip2 blocksort.c huffman.c crctable.c randtable.c compress.c decompress.c bzlib.c bzip2.c
for number in 1 2 3; do
  run_expect "bzip2/sample$number" 0 "$(sha256sum <sample$number.bz2)" \
    bash -c "'$ATOLL' run '$place/bzip2.wasm' -$number <sample$number.ref | sha256sum"
  run_expect "bzip2/sample$number/back" 0 "$(sha256sum <sample$number.ref)" \
    bash -c "'$ATOLL' run '$place/bzip2.wasm' -d <sample$number.bz2 | sha256sum"
done
same bzip2/manual bzip2 manual.ps -9
same bzip2/source bzip2 bzip2.c -z -v
cd "$scratch" || exit 1
cp "$source/manual.html" file
run_expect bzip2/file 0 "" run bzip2 -k file
run_expect bzip2/file/test 0 "" bzip2 -t file.bz2
same bzip2/damaged bzip2 "$source/manual.ps" -d
