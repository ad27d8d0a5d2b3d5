#!/usr/bin/env bash
# mawk: its own test script, and programs on real text as the native one does them. Errors in
# regular expressions end it: it needs setjmp for nothing else.
source "$(dirname "$0")/common.sh"
debian_source mawk
# What yacc makes is there.
touch "$source/parse.c" "$source/parse.h"
build() { # NAME COMPILER...
  mkdir -p "$place/$1"
  cd "$place/$1" || exit 1
  local libraries="" include=""
  # configure takes -I out of the compiler's name.
  if [[ $1 == wasm ]]; then libraries="${wasi_libraries[*]}" include=-I$support; fi
  must "mawk/configure $1" env CC="${*:2}" CFLAGS=-O2 LIBS="$libraries" \
    sh "$source/configure" --host=i686-pc-linux-gnu --srcdir="$source"
  must "mawk/make $1" make CPPFLAGS="-I. -I$source -DHAVE_CONFIG_H -DLOCAL_REGEXP $include" mawk
}
if [[ ! -e $place/mawk.wasm || $0 -nt $place/mawk.wasm ]]; then
  build native "${native[@]}"
  build wasm "${wasi[@]}"
  cp "$place/native/mawk" "$place/mawk"
  cp "$place/wasm/mawk" "$place/mawk.wasm"
fi

cat >"$scratch/mawk" <<END
#!/bin/sh
exec "$ATOLL" run --dir . --dir "$source" "$place/mawk.wasm" "\$@"
END
chmod +x "$scratch/mawk"
cd "$source/test" || exit 1
sed '/Fail "case 8"/d' mawktest >"$scratch/mawktest"
skip "mawk/mawktest/case 8" "goes on after an error in a regular expression, which needs setjmp"
MAWK=$scratch/mawk sh "$scratch/mawktest" "$source" >"$scratch/log" 2>&1
while read -r line; do
  case $line in
    *' OK') ok "mawk/mawktest/$line" ;;
    *fail*) not_ok mawk/mawktest "$line" ;;
  esac
done <"$scratch/log"

same mawk/fields mawk "$root/docs/isa.md" '{ n += NF; if (length > longest) longest = length }
  END { print NR, n, longest }'
same mawk/words mawk "$root/docs/assembly.md" '{
    gsub(/[^a-zA-Z]+/, " ")
    for (i = 1; i <= NF; i++) count[tolower($i)]++
  }
  END { for (word in count) if (count[word] > 20) total += count[word] * length(word); print total }'
same mawk/printf mawk "$source/man/mawk.1" '{
    s += length($0) * NR / 7
    printf "%8.3f %-12s|%5d %c %x\n", s, substr($1, 1, 12), NR, 65 + NR % 26, NR
  }'
same mawk/sieve mawk /dev/null 'BEGIN {
    n = 20000
    for (i = 2; i <= n; i++) if (!(i in no)) { c++; for (j = i * i; j <= n; j += i) no[j] }
    print c
  }'
