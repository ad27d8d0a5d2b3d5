# What the suites of pages share: `source` it after tests/lib.sh. A page's commands (```console blocks)
# are run in their order, by this shell, in the current directory; what they print must be what the
# page shows. A block of source text after a line that ends in `NAME`: is the file NAME.

# has_part FILE TEXT: the text, whole lines, is a part of the file.
has_part() { [[ $'\n'$(<"$1")$'\n' == *$'\n'"$(<"$2")"$'\n'* ]]; }

# split_page PAGE: its steps as files $scratch/steps/NN: "FILE name" or "RUN command", then the text.
split_page() {
  rm -rf "$scratch/steps"
  mkdir "$scratch/steps"
  python3 - "$1" "$scratch/steps" <<'END'
import re, sys

text = open(sys.argv[1]).read()
steps = 0

def step(kind, name, body):
    global steps
    steps += 1
    with open("%s/%03d" % (sys.argv[2], steps), "w") as out:
        out.write("%s %s\n%s" % (kind, name, body))

for block in re.finditer(r"(?:`([\w/-]+\.[\w.]+)`:\n\n)?^```(\w+)\n(.*?)^```\n", text, re.S | re.M):
    name, kind, body = block.groups()
    if kind == "console":
        for run in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.M):
            step("RUN", run.group(1), run.group(2))
    elif kind in ("atoll", "motu", "python", "c", "cpp", "cmake"):
        step("FILE", name or "", body)
END
}

# replay PAGE LABEL ON_FILE: `ON_FILE LABEL NAME TEXT` is called for each block of source text, where
# TEXT is a file that has it. (A command may change the directory or the environment of those after
# it.)
replay() {
  local step kind what runs=0
  split_page "$1"
  for step in "$scratch"/steps/*; do
    read -r kind what <"$step"
    tail -n +2 "$step" >"$scratch/expected"
    if [[ $kind == FILE ]]; then
      "$3" "$2" "$what" "$scratch/expected"
    else
      eval "$what" >"$scratch/actual" 2>&1 </dev/null
      check "$2/$what" "$(<"$scratch/expected")" "$(<"$scratch/actual")"
      runs=$((runs + 1))
    fi
  done
  ((runs > 0)) || not_ok "$2" "the page has no commands"
}
