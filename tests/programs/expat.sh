#!/usr/bin/env bash
# expat: its own test program, of some 300 tests, and xmlwf on real XML as the native one does it.
source "$(dirname "$0")/common.sh"
debian_source expat
cd "$source/expat" || exit 1
mkdir -p "$place/generated"
cat >"$place/generated/expat_config.h" <<'END'
#define BYTEORDER 1234
#define XML_CONTEXT_BYTES 1024
#define XML_DTD 1
#define XML_NS 1
#define XML_POOR_ENTROPY 1
#define PACKAGE_NAME "expat"
#define PACKAGE_STRING "expat"
END
flags=(-DHAVE_EXPAT_CONFIG_H -DXML_LARGE_SIZE -include unistd.h -I"$place/generated" -Ilib -Ixmlwf)
library=(lib/xmlparse.c lib/xmlrole.c lib/xmltok.c)
both runtests "${flags[@]}" "${library[@]}" \
  tests/{runtests,memcheck,minicheck,chardata,structdata}.c
both xmlwf "${flags[@]}" "${library[@]}" xmlwf/{xmlwf,xmlfile,codepage,readfilemap}.c

cd "$scratch" || exit 1
"$place/runtests" >theirs 2>&1
run runtests >ours 2>&1
check expat/runtests 0 $?
check expat/runtests/count "$(tail -1 theirs)" "$(tail -1 ours)"
# `-d FOLDER`: writes each document in canonical form there.
mkdir ours.out theirs.out
for file in "$source"/expat/doc/*.html "$source"/expat/doc/*.xml /usr/share/mime/packages/*.xml \
  /usr/share/xml/*/*.xml; do
  [[ -e $file ]] || continue
  name=$(basename "$file")
  cp "$file" "$name"
  "$place/xmlwf" -d theirs.out "$name" >theirs 2>&1
  run xmlwf -d ours.out "$name" >ours 2>&1
  check "expat/xmlwf/$name" "$(cat theirs)" "$(cat ours)"
  [[ ! -e theirs.out/$name ]] || expect_same "expat/xmlwf/$name/canonical" "theirs.out/$name" "ours.out/$name"
done
