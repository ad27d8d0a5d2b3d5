#!/usr/bin/env bash
# docs/first-program.md is followed word for word: its files are written, its commands run, and what
# they print must be what the page shows.
source "$(dirname "$0")/../lib.sh"
mkdir "$scratch/bin" "$scratch/first"
ln -s "$ATOLL" "$scratch/bin/atoll"
export PATH=$scratch/bin:$PATH
cd "$scratch/first" || exit 1

# Splits the page into numbered steps: FILE steps hold a source, RUN steps a command and its output.
python3 - "$root/docs/first-program.md" "$scratch" <<'END'
import re, sys
text = open(sys.argv[1]).read()
steps = 0

def step(kind, name, body):
    global steps
    steps += 1
    open("%s/step-%02d" % (sys.argv[2], steps), "w").write("%s %s\n%s" % (kind, name, body))

blocks = re.finditer(r"(?:`([\w.-]+)`:\n\n)?```(\w+)\n(.*?)```\n", text, re.S)
for block in blocks:
    name, kind, body = block.groups()
    if kind == "atoll":
        step("FILE", name, body)
    elif kind == "console":
        for run in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.M):
            step("RUN", run.group(1), run.group(2))
END

for step in "$scratch"/step-*; do
  read -r kind what <"$step"
  if [[ $kind == FILE ]]; then
    tail -n +2 "$step" >"$what"
    ok "first-program/$what"
  else
    check "first-program/$what" "$(tail -n +2 "$step")" "$(eval "$what" 2>&1)"
  fi
done
