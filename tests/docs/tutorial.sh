#!/usr/bin/env bash
# docs/tutorial is followed word for word, by a person with an empty home directory: commands print
# what the pages show, the sources shown are parts of the files beside them.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/replay.sh"
tutorial=$root/docs/tutorial
export HOME=$scratch/home
mkdir "$HOME"
command -v c++ >/dev/null || export CXX=g++-12
cd "$root" || exit 1

# in_tree CHAPTER NAME TEXT: the text is a part of that file of the chapter, or without a name of any.
in_tree() {
  local file files=("$tutorial"/*/*.*)
  if [[ -n $2 ]]; then files=("$tutorial/$1/$2"); fi
  for file in "${files[@]}"; do
    if [[ -f $file && $file != *.md ]] && has_part "$file" "$3"; then
      ok "$1 shows ${file#"$tutorial"/}"
      return
    fi
  done
  not_ok "$1 shows ${2:-a file}" "this is no part of it:"
  sed 's/^/    /' "$3"
}

replay "$tutorial/README.md" start in_tree
for page in "$tutorial"/*/README.md; do
  chapter=$(basename "$(dirname "$page")")
  # The plugin in C is made in chapter 6 and used in those after it.
  if [[ $chapter > 06 ]] && ! { command -v clang-16 && command -v wasm-ld-16; } >/dev/null; then
    skip "$chapter" "no clang-16 and lld-16"
    continue
  fi
  replay "$page" "$chapter" in_tree
  for file in "$tutorial/$chapter"/*; do
    name=$(basename "$file")
    grep -qF "$name" "$page" || not_ok "$chapter/$name" "the page does not mention it"
  done
done

cd "$root" || exit 1
mapfile -t sources < <(find docs/tutorial -name '*.atoll' | sort)
run_expect "the sources' layout" 0 "" "$ATOLL" fmt --check "${sources[@]}"
