#!/usr/bin/env bash
# The sample that embeds CRuby: scripts and their standard library, exceptions, limits.
source "$(dirname "$0")/prefix.sh"
export RUBY_WASM=$root/build/npm/node_modules/@ruby/4.0-wasm-wasi/dist/ruby+stdlib.wasm
for compiler in g++-12 clang++-19; do
  build_sample ruby "$compiler" || exit 1
done
if [[ ! -e $RUBY_WASM ]]; then
  skip ruby "no $RUBY_WASM: npm install --prefix build/npm @ruby/4.0-wasm-wasi@2.10.1"
  exit
fi
ruby=$scratch/ruby.clang++-19/ruby_host
scripts=$root/samples/ruby/scripts
cd "$scratch" || exit 1

run_expect "ruby/gcc" 0 42 "$scratch/ruby.g++-12/ruby_host" -e 'puts 6 * 7'
run_expect "ruby/arguments" 0 '["a", "--b"]' "$ruby" -e 'p ARGV' -- a --b
run_expect "ruby/two scripts" 0 $'1\n2' "$ruby" -e '$x = 1; puts $x' -e 'puts $x + 1'
run_expect "ruby/json" 0 '[
  {
    "customer": "Al",
    "total": 1999,
    "items": [
      "pot"
    ]
  },
  {
    "customer": "Bo",
    "total": 1200,
    "items": [
      "cup",
      "tea"
    ]
  }
]' "$ruby" "$scripts/orders.rb" <<'ORDERS'
{"customer":"Bo","item":"tea","count":2,"cents":350}
{"customer":"Al","item":"pot","count":1,"cents":1999}
{"customer":"Bo","item":"cup","count":4,"cents":125}
ORDERS
run_expect "ruby/language" 0 '0.99 < 1.9.3 < 1.10
1.3
point 5.0
1606938044258990275541962092341162602522202993782792835301376
648
'"$(python3 -c 'print(pow(7**300, 5, 1000007))')"'
{"hour" => "14", "minute" => "05"}
Naïve-Café
a2b44
[0, 2, 8, 34, 144, 610]
[4, 9, 16]
IndexError: index 9 outside of array bounds: 0...0
ensured
5
true
[3, 2, 1]
"003.1|ab  |ff"' "$ruby" "$scripts/language.rb"
run_expect "ruby/library" 0 "$(printf atoll | sha256sum | cut -c1-16)
$(printf '' | md5sum | cut -d' ' -f1)
0;1;2;
Sat 21 Nov 14:05:09
1970-01-01T00:00:00Z
[\"add\", 1, \"1, 22\", true]
true
2
{size: 12}
16
:program" "$ruby" "$scripts/library.rb"
run_expect "ruby/collector" 0 "400 kept, 0 broken, collected: true" "$ruby" "$scripts/collector.rb"

# Its exceptions.
cat >wrong.rb <<'SCRIPT'
def divide(a, b) = a / b
begin
  divide(1, 0)
rescue ZeroDivisionError
  raise ArgumentError, "no zero"
end
SCRIPT
run_expect "ruby/exception" 1 "" "$ruby" wrong.rb
check "ruby/exception/text" "wrong.rb:5:in '<compiled>': no zero (ArgumentError)
wrong.rb:1:in 'Integer#/': divided by 0 (ZeroDivisionError)
	from wrong.rb:1:in 'Object#divide'
	from wrong.rb:3:in '<compiled>'" "$(cat stderr)"
run_expect "ruby/syntax" 1 "" "$ruby" -e 'foo('
check_contains "ruby/syntax/text" "-e:1: syntax error found (SyntaxError)" "$(cat stderr)"
run_expect "ruby/recursion" 0 SystemStackError \
  "$ruby" -e 'def f(n) = f(n + 1)' -e 'begin; f(0); rescue SystemStackError => e; puts e.class; end'
run_expect "ruby/exit" 7 "later" "$ruby" -e 'at_exit { puts "later" }; exit 7' -e 'puts "never"'

# What it may do.
mkdir granted && echo inside >granted/file && echo outside >outside
run_expect "ruby/directory" 0 $'inside\nErrno::ENOTCAPABLE' "$ruby" --dir granted::/data -e '
puts File.read("/data/file")
File.write("/data/made", "by Ruby")
begin; File.read("/data/../outside"); rescue SystemCallError => e; puts e.class; end'
check "ruby/directory/written" "by Ruby" "$(cat granted/made)"
run_expect "ruby/no directory" 1 "" "$ruby" -e 'File.read("/etc/passwd")'
run_expect "ruby/javascript" 3 "" "$ruby" -e 'require "js"; JS.eval("1")'
check_contains "ruby/javascript/text" "the script needs JavaScript" "$(cat stderr)"

# What it may use. Ruby takes 320 MiB where it may, and can do with 60.
run_expect "ruby/endless" 3 "" "$ruby" --time 4000 -e 'loop {}'
check_contains "ruby/endless/text" "time limit reached" "$(cat stderr)"
run_expect "ruby/memory" 0 "NoMemoryError" "$ruby" --memory 100 \
  -e 'begin; a = []; loop { a << "x" * 10_000_000 }; rescue NoMemoryError => e; puts e.class; end'
run_expect "ruby/too little memory" 3 "" "$ruby" --memory 40 -e 'puts 1'
check_contains "ruby/too little memory/text" "failed to allocate memory" "$(cat stderr)"

run_expect "ruby/time" 0 "" "$ruby" --stats -e '1'
sed 's/^/# ruby: /' stderr
