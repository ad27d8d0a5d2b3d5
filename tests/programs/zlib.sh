#!/usr/bin/env bash
# zlib: its own test programs (example, infcover), and minigzip on real files both ways.
source "$(dirname "$0")/common.sh"
debian_source zlib
cd "$source" || exit 1
flags=(-D_LARGEFILE64_SOURCE=1 -DHAVE_UNISTD_H -DHAVE_STDARG_H -DHAVE_HIDDEN -I.)
for name in example infcover minigzip; do both $name "${flags[@]}" ./*.c test/$name.c; done
cd "$scratch" || exit 1
# Its first line tells the sizes of types.
check zlib/example "$("$place/example" | tail -n +2)" "$(run example | tail -n +2)"
# What it allocates depends on the size of a pointer: that it ends well counts.
"$ATOLL" run "$place/infcover.wasm" >infcover 2>&1
check zlib/infcover 0 $?
for file in ChangeLog contrib/infback9/infback9.c doc/rfc1951.txt zlib.3.pdf; do
  [[ -e $source/$file ]] || continue
  same "zlib/minigzip/$file" minigzip "$source/$file" -9
  run minigzip -c <"$source/$file" >file.gz
  run minigzip -d <file.gz >file
  expect_same "zlib/minigzip/$file/back" "$source/$file" file
  gzip -t file.gz && ok "zlib/minigzip/$file/gzip" || not_ok "zlib/minigzip/$file/gzip" "refused"
done
