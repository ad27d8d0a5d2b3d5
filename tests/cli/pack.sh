#!/usr/bin/env bash
# Images: packing, what they ask for and are granted, signatures, images in machine files.
source "$(dirname "$0")/../lib.sh"
cp "$root"/tests/cli/pack/* "$scratch"
cd "$scratch" || exit 1
unset NO_COLOR
"$ATOLL" asm show.atoll -o show.atb || exit 1
mkdir -p files/pages out
echo "a page" >files/pages/index
ln -s index files/pages/link
cat >show.toml <<'TOML'
name = "show"
module = "show.atb"
root = "files"
[[mounts]]
guest = "/out"
about = "what is written"
TOML
refused() {
  run_expect "$1" "$2" "" "${@:4}"
  check_contains "$1: message" "$3" "$(cat stderr)"
}

# --- Packing ---
run_expect "pack" 0 "" "$ATOLL" pack show.toml
cp show.atp first.atp
touch -d '2001-01-01' files/pages/index
chmod 600 files/pages/index
run_expect "pack again" 0 "" "$ATOLL" pack show.toml -o second.atp
check "the same bytes" "" "$(cmp first.atp second.atp 2>&1)"
check "it is a tar archive" "atoll-image.toml module root root/pages root/pages/index root/pages/link" \
  "$(tar tf show.atp | sed 's|/$||' | tr '\n' ' ' | sed 's/ $//')"
check "what it asks for" "show
  root        its own files at /, to read
  asks for    /out: dir, to read and write: what is written (--grant /out=PATH)" "$("$ATOLL" pack --show show.atp)"
check "the same as JSON" '["show",false,true,"/out","dir","rw",false]' \
  "$("$ATOLL" pack --show --json show.atp | jq -c '[.name, .signed, .root, (.mounts[0] | .guest, .type, .access, .required)]')"

# --- Running ---
run_expect "without a grant it is not there" 0 "a page
read only
no /out" "$ATOLL" run show.atp
run_expect "with a grant" 0 "a page
read only" "$ATOLL" run --grant /out=out show.atp
check "what it wrote" "a pag" "$(cat out/done)"
run_expect "a grant to read" 0 "a page
read only
no /out" "$ATOLL" run --grant /out=out:ro show.atp
if [[ ${ATOLL_PRESET:-release} == release ]]; then
  run_expect "hardened" 0 "a page
read only" "$ATOLL" run --harden --grant /out=out show.atp
fi
sed 's/root = "files"/&\noverlay = true/; s/about/required = true\nabout/' show.toml >needs.toml
run_expect "pack one with an overlay" 0 "" "$ATOLL" pack needs.toml
refused "something that is required" 126 'it needs /out, what is written: give it one by `--grant /out=PATH`' \
  "$ATOLL" run needs.atp
check_contains "all that it asks for is shown" "asks for    /out: dir, to read and write, required" "$(cat stderr)"
run_expect "changes are kept apart" 0 "a page
changed" "$ATOLL" run --grant /out=out needs.atp
check "the image is as it was" "a page" "$(tar xOf needs.atp root/pages/index)"
refused "what it does not ask for" 2 "/etc: the image asks for nothing of this name" \
  "$ATOLL" run --grant /etc=/etc show.atp
refused "no grant" 2 "is not GUEST=PATH" "$ATOLL" run --grant /out show.atp
refused "a grant for a module" 2 "are for images" "$ATOLL" run --grant /out=out show.atb
refused "a directory that is not there" 126 "none" "$ATOLL" run --grant /out=none show.atp

# --- Machine files ---
cat >machine.toml <<'TOML'
[[machine]]
name = "m"
module = "show.atb"
mounts = [{ type = "overlay", source = "show.atp", guest = "/" }]
TOML
check_contains "an image below an overlay" "changed" "$("$ATOLL" up machine.toml 2>&1)"
sed -i 's/overlay/image/' machine.toml
check_contains "an image as the root" "read only" "$("$ATOLL" up machine.toml 2>&1)"
run_expect "an image as a mount" 0 "a page
read only
no /out" "$ATOLL" run --mount image:show.atp:/ show.atb
tar cf plain.tar files
refused "a plain archive is none" 126 "it is no image" "$ATOLL" run --mount image:plain.tar:/ show.atb

# --- Mistakes ---
refused "no manifest" 1 "none.toml: No such file" "$ATOLL" pack none.toml
printf 'name = "x"\nmodule = "show.atoll"\n' >source.toml
refused "a source" 1 "is neither a module file nor a WebAssembly module; \`atoll asm\` makes one" "$ATOLL" pack source.toml
printf 'name = "x"\nmodul = "show.atb"\n' >typo.toml
refused "a mistake in the manifest" 1 "typo.toml:2:1" "$ATOLL" pack typo.toml
mkfifo files/pipe
refused "a pipe" 1 "files/pipe: only files, directories and symbolic links can be packed" "$ATOLL" pack show.toml
rm files/pipe
refused "show what is no image" 1 "it is no image" "$ATOLL" pack --show show.atb
head -c 700 show.atp >cut.atp
refused "a cut one" 126 "cut.atp" "$ATOLL" run cut.atp
refused "--json alone" 2 "need --show" "$ATOLL" pack --json show.toml

# --- Signatures ---
if ! command -v openssl >/dev/null || [[ ${ATOLL_PRESET:-release} == aarch64 ]]; then
  skip "signatures" "no openssl"
  exit 0
fi
for key in own other; do
  openssl genpkey -algorithm ed25519 -out $key.pem && openssl pkey -in $key.pem -pubout -out $key.pub
done 2>/dev/null
openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
run_expect "sign" 0 "" "$ATOLL" pack show.toml --sign own.pem -o signed.atp
run_expect "run what is signed" 0 "a page
read only
no /out" "$ATOLL" run --verify own.pub signed.atp
check_contains "it says that it is signed" "show, signed" "$("$ATOLL" pack --show --verify own.pub signed.atp)"
head -c -2048 signed.atp >content
tail -c 1536 signed.atp | head -c 64 >signature
check "openssl agrees" "Signature Verified Successfully" \
  "$(openssl pkeyutl -verify -pubin -inkey own.pub -rawin -in content -sigfile signature 2>&1)"
refused "another key" 126 "signed.atp: its signature is not by this key" "$ATOLL" run --verify other.pub signed.atp
refused "one that is not signed" 126 "show.atp: it has no signature" "$ATOLL" run --verify own.pub show.atp
refused "another kind of key" 1 "rsa.pem: is no private ed25519 key" "$ATOLL" pack show.toml --sign rsa.pem
refused "a private key in place of the public one" 126 "own.pem: is no public ed25519 key" \
  "$ATOLL" run --verify own.pem signed.atp
: >empty
refused "an empty key checks, too" 126 "empty: is no public ed25519 key" "$ATOLL" run --verify empty signed.atp
bad=0
size=$(stat -c %s signed.atp)
for ((at = 20; at < size; at += size / 40)); do
  cp signed.atp flip.atp
  byte=$(od -An -tu1 -j "$at" -N 1 signed.atp)
  printf "\\x$(printf %02x $((byte ^ 0x20)))" | dd of=flip.atp bs=1 seek="$at" conv=notrunc status=none
  "$ATOLL" run --verify own.pub flip.atp >out.txt 2>&1 && bad=$((bad + 1))
  grep -qE "its signature is not by this key|it has no signature" out.txt || bad=$((bad + 1))
done
check "a byte changed anywhere" 0 "$bad"
