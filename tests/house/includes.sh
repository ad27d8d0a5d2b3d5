#!/usr/bin/env bash
# The layering: every #include follows an arrow between folders (docs/rationale.md, "Layers"), and
# no file is longer than 800 lines, tables (*.def) and generated pages excepted.
source "$(dirname "$0")/../lib.sh"
cd "$root"

module="vm/base vm/isa vm/module vm/verify"
runtime="$module vm/cap vm/runtime"
# A folder, and the folders that its quoted includes may name besides itself.
arrows="vm/base:
vm/isa: vm/base
vm/module: vm/base vm/isa
vm/verify: vm/base vm/isa vm/module
vm/cap: vm/base
vm/runtime: $module vm/cap
vm/interp: $runtime
vm/jit: $runtime vm/interp
assembler/text: $module
assembler/link: $module
assembler/wasm: $module
scheduler/loop: $runtime
scheduler/policy: vm/base
scheduler/machine: vm/base scheduler/policy scheduler/core
scheduler/core: $runtime scheduler/loop scheduler/policy
scheduler/snapshot: $runtime scheduler/core scheduler/loop scheduler/policy
stdlib/vfs: $runtime
stdlib/net: vm/base vm/cap stdlib/vfs
stdlib/vnet: vm/base vm/cap stdlib/net
stdlib/guest: vm/base
stdlib/host: $runtime scheduler/loop scheduler/core scheduler/policy stdlib/guest stdlib/vfs stdlib/net
stdlib/wasi: $runtime scheduler/loop stdlib/vfs stdlib/net stdlib/host
atoll/include:
atoll/embed: $runtime vm/interp vm/jit assembler/text assembler/link assembler/wasm scheduler/loop scheduler/core scheduler/policy scheduler/machine scheduler/snapshot stdlib/vfs stdlib/net stdlib/vnet stdlib/host stdlib/wasi
atoll/cli:
atoll/package:"

sources_in() { find "$1" -type f \( -name '*.cpp' -o -name '*.hpp' -o -name '*.h' -o -name '*.def' \); }

while IFS=: read -r folder targets; do
  bad=$(sources_in "$folder" | sort | xargs -r grep -nH '^ *# *include *"' |
    awk -F'"' -v own="$folder" -v targets="$targets" '
      BEGIN { n = split(own targets, allowed, " ") }
      {
        if (own == "atoll/cli" && $2 ~ "^cli/") next
        for (i = 1; i <= n; i++) if (index($2, allowed[i] "/") == 1) next
        print
      }')
  check "arrows of $folder" "" "$bad"
done <<<"$arrows"

unlisted=$(find vm assembler scheduler stdlib atoll -type f \( -name '*.cpp' -o -name '*.hpp' \) |
  sed -E 's|^([^/]+/[^/]+)/.*|\1|' | sort -u | grep -vxF "$(cut -d: -f1 <<<"$arrows")")
check "each folder has its arrows listed here" "" "$unlisted"

# angle NAME PATTERN FOLDER...: outside of the FOLDERs nothing includes <PATTERN>.
angle() {
  local name=$1 pattern=$2
  shift 2
  local found
  found=$(grep -rnE "^ *# *include *[<\"]($pattern)" vm assembler scheduler stdlib atoll --include='*.[ch]pp' |
    grep -vE "^($(IFS='|'; echo "$*"))/")
  check "$name" "" "$found"
}
angle "only scheduler/loop includes libuv" 'uv\.h|uv/' scheduler/loop
angle "only scheduler/snapshot includes zstd" 'zstd\.h' scheduler/snapshot
angle "only scheduler/snapshot and stdlib/vfs include xxhash" 'xxhash\.h' scheduler/snapshot stdlib/vfs
angle "only stdlib/vfs includes libarchive" 'archive\.h|archive_entry\.h' stdlib/vfs
angle "only stdlib/vfs includes SQLite" 'sqlite3' stdlib/vfs
angle "only vm/jit includes AsmJit" 'asmjit/' vm/jit
angle "only the command and the face include the public headers" 'atoll/' atoll
angle "only scheduler/machine includes toml++" 'toml\+\+/' scheduler/machine
angle "only the command includes CLI11" 'CLI/' atoll/cli

allowed='atoll/|CLI/|fmt/|nlohmann/|[a-z_]+>|[a-z]+\.h|sys/'
check "atoll/cli includes public headers and libraries only" "" \
  "$(grep -rnE '^ *# *include *<' atoll/cli | grep -vE "include *<($allowed)")"
check "public headers include the standard library and each other only" "" \
  "$(grep -rnE '^ *# *include *<' atoll/include | grep -vE 'include *<(atoll/|[a-z_]+>|std(bool|def|int)\.h>)')"

check "no file has more than 800 lines" "" \
  "$(find CMakeLists.txt dev .ci vm assembler scheduler stdlib atoll tests samples docs \
    -type f \( -name '*.cpp' -o -name '*.hpp' -o -name '*.h' -o -name '*.py' -o -name '*.sh' -o -name '*.atoll' -o -name '*.md' -o -name dev \) \
    -not -path docs/isa.md -not -path docs/stdlib.md -exec wc -l {} + | awk '$1 > 800 && $2 != "total" {print $2 ": " $1}')"
