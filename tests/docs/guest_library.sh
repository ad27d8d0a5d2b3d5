#!/usr/bin/env bash
# docs/add-a-guest-library.md is followed word for word, in a copy of the part of the tree that it
# works on. There `./dev build` puts the copy's libraries into the command that was built before, and
# builds nothing else.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/replay.sh"
build=$(dirname "$ATOLL")
copy=$scratch/copy
mkdir -p "$copy/tests" "$copy/build/release" "$scratch/tmp"
cp -r "$root/stdlib" "$root/docs" "$copy"
cp -r "$root/tests/"{lib.sh,guest,house} "$copy/tests"
ln -s "$ATOLL" "$copy/build/release/atoll"
cat >"$copy/dev" <<END
#!/usr/bin/env bash
set -e
[[ \$* == build ]]
modules=("$copy"/stdlib/guest/*.atoll)
objects="$scratch/modules.o $build/stdlib/guest/CMakeFiles/atoll_guest.dir/guest.cpp.o"
list=\$(IFS=';'; echo "\${modules[*]}")
cmake "-DOUTPUT=$scratch/modules.cpp" "-DMODULES=\$list" -P "$copy/stdlib/guest/embed.cmake"
clang++-19 -std=c++20 -I"$root" -c "$scratch/modules.cpp" -o "$scratch/modules.o"
link=\$(ninja -C "$build" -t commands atoll | tail -1)
link=\${link/ stdlib\/guest\/libatoll_guest.a/ \$objects}
rm "$copy/build/release/atoll"
cd "$build" && eval "\${link/ -o atoll / -o $copy/build/release/atoll }"
END
chmod +x "$copy/dev"
export TMPDIR=$scratch/tmp
unset ATOLL
cd "$copy" || exit 1

write_file() {
  mkdir -p "$(dirname "$2")"
  cp "$3" "$2"
  ok "$1/$2"
}
replay "$root/docs/add-a-guest-library.md" add-a-guest-library write_file
