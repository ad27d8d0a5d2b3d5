#!/usr/bin/env bash
# The site builder, in overlays: the pages are as expected, what lies below does not change, and a
# second build makes only what has changed.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/build_wasm.sh"
cd "$root" || exit 1
build site samples/site/site.c /usr/lib/wasm32-wasi/libc.a \
  "$clang" "${wasi[@]}" -D_GNU_SOURCE -Wl,-z,stack-size=1048576 samples/site/site.c -o || exit 0
cd "$scratch" || exit 1
expected=$root/tests/samples/site
cp -r "$root/samples/site/example" example
contents() { find example -printf '%p %y %s %T@\n' | sort && find example -type f -exec sha256sum {} + | sort; }
before=$(contents)

# site UPPER ARGS...: over the example, with the changes in the folder UPPER.
site() { "$ATOLL" run --mount "overlay:example:/:upper=$1" "$built/site.wasm" "${@:2}"; }

mkdir upper
run_expect "a first build" 0 "3 built, 1 copied, 0 as they were" site upper
check "the pages" "" "$(diff -r upper/public "$expected" 2>&1 | head -20)"
check "nothing but the pages is new" "public" "$(ls -A upper)"
check "what lies below is as it was" "$before" "$(contents)"
run_expect "a second build" 0 "0 built, 0 copied, 4 as they were" site upper
printf '# Late\n\nNews\n' >upper/late.md
mkdir -p upper/pages && mv upper/late.md upper/pages/late.md
run_expect "a page that is only in the overlay" 0 "1 built, 0 copied, 4 as they were" site upper
check_contains "a page that is only in the overlay: its text" "<p>News</p>" "$(cat upper/public/late.html)"
run_expect "in memory" 0 "3 built, 1 copied, 0 as they were" \
  "$ATOLL" run --mount overlay:example:/site "$built/site.wasm" /site
run_expect "no room" 1 "" "$ATOLL" run --mount overlay:example:/:size=4k "$built/site.wasm"
check_contains "no room: message" "No space left on device" "$(cat stderr)"
run_expect "nothing may be written" 1 "" "$ATOLL" run --mount dir:example:/:ro "$built/site.wasm"
check_contains "nothing may be written: message" "site: /public" "$(cat stderr | sed 's|\./|/|')"
check "what lies below is still as it was" "$before" "$(contents)"

# --- As an image ---
cp "$built/site.wasm" "$root/samples/site/site.toml" .
run_expect "pack it" 0 "" "$ATOLL" pack site.toml
if [[ ${ATOLL_PRESET:-} == aarch64 ]]; then
  skip "an image of it" "that build has no libarchive"
else
  mkdir pages
  run_expect "without a place for the pages" 126 "" "$ATOLL" run site.atp
  run_expect "an image of it" 0 "3 built, 1 copied, 0 as they were" \
    "$ATOLL" run --grant /public=pages site.atp
  check "an image of it: the pages" "" "$(diff -r pages "$expected" 2>&1 | head -20)"
fi

# --- Mistakes -----------------------------------------------------------------------------------
mkdir -p wrong/pages
wrong() { "$ATOLL" run --mount dir:wrong:/ "$built/site.wasm"; }
run_expect "no template" 1 "" wrong
check_contains "no template: message" "page.html: No such file" "$(cat stderr)"
echo '{{title}}{{what}}' >wrong/page.html
echo text >wrong/pages/a.md
run_expect "a wrong name in the template" 1 "" wrong
check_contains "a wrong name in the template: message" "there is no {{what}}" "$(cat stderr)"
printf '{{title}}|{{content}}' >wrong/page.html
printf '# {{root}} <b>\n**a *b* `c*`** [x](y.md) \\*z\\* ![i](i.png)\n```\n**\n' >wrong/pages/a.md
run_expect "hostile text" 0 "1 built, 0 copied, 0 as they were" wrong
check "hostile text: what becomes of it" "&#123;&#123;root}} &lt;b&gt;|<h1>&#123;&#123;root}} &lt;b&gt;</h1>
<p><strong>a <em>b</em> <code>c*</code></strong> <a href=\"y.html\">x</a> *z* <img src=\"i.png\" alt=\"i\"></p>
<pre><code>**
</code></pre>" "$(cat wrong/public/a.html)"
head -c 100000 /dev/zero | tr '\0' '*' >wrong/pages/a.md
head -c 20000 /dev/zero | tr '\0' '[' >>wrong/pages/a.md
run_expect "much of nothing" 0 "1 built, 0 copied, 0 as they were" timeout 60 "$ATOLL" run --mount dir:wrong:/ "$built/site.wasm"
