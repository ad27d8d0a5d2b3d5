# Shows that the language is all there; prints what it finds.
class Version
  include Comparable
  attr_reader :parts

  def initialize(text) = @parts = text.split(".").map { Integer(_1) }
  def <=>(other) = parts <=> other.parts
  def to_s = parts.join(".")
end
puts %w[1.10 1.9.3 0.99].map { Version.new(_1) }.sort.join(" < ")
puts Version.new("1.2").clamp(Version.new("1.3"), Version.new("2.0"))

Point = Struct.new(:x, :y)
case { kind: "point", at: Point.new(3, 4) }
in { kind: String => kind, at: [x, y] }
  puts "#{kind} #{Math.hypot(x, y)}"
end

puts 2**200, 100.downto(1).inject(:*).digits.sum, (7**300).pow(5, 1_000_007)
puts "2026-11-21 14:05".match(/(?<hour>\d+):(?<minute>\d+)/).named_captures
puts "naïve café".scan(/\p{L}+/).map(&:capitalize).join("-"), "a1b22".gsub(/\d+/) { (_1.to_i * 2).to_s }

numbers = Enumerator.new { |to| a, b = 0, 1; loop { to << a; a, b = b, a + b } }
p numbers.lazy.select(&:even?).first(6)
fiber = Fiber.new { |x| loop { x = Fiber.yield(x * x) } }
p [2, 3, 4].map { fiber.resume(_1) }

def risky = yield
begin
  risky { [].fetch(9) }
rescue IndexError => error
  puts "#{error.class}: #{error.message}"
ensure
  puts "ensured"
end
p catch(:found) { 10.times { |i| throw :found, i if i * i > 20 } }
p ObjectSpace.respond_to?(:garbage_collect), [3, 1, 2].sort_by { -_1 }, "%05.1f|%-4s|%x" % [3.14159, "ab", 255]
