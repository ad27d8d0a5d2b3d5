# Uses much of the standard library.
require "digest"
require "erb"
require "optparse"
require "ripper"
require "securerandom"
require "set"
require "stringio"
require "strscan"
require "time"

puts Digest::SHA256.hexdigest("atoll")[0, 16], Digest::MD5.hexdigest("")
puts ERB.new("<% 3.times do |i| %><%= i %>;<% end %>").result
puts Time.iso8601("2026-11-21T14:05:09Z").strftime("%a %d %b %H:%M:%S"), Time.at(0).utc.iso8601

words = StringScanner.new("add 1, 22")
puts [words.scan(/\w+/), words.skip(/\s+/), words.scan_until(/\d+$/), words.eos?].inspect
puts Set[1, 2, 3].superset?(Set[1, 3]), StringIO.new("a\nb\n").readlines.length
options = {}
OptionParser.new { |o| o.on("--size N", Integer) { options[:size] = _1 } }.parse!(%w[--size 12])
p options, SecureRandom.hex(8).length, Ripper.sexp("1 + 2")[0]
