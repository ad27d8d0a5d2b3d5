# Reads orders as JSON, one a line, and prints what each customer owes, as JSON.
require "json"
require "set"

Order = Struct.new(:customer, :item, :count, :cents, keyword_init: true) do
  def total = count * cents
end

orders = $stdin.each_line.map { |line| Order.new(**JSON.parse(line, symbolize_names: true)) }
report = orders.group_by(&:customer).sort.map do |customer, theirs|
  { customer:, total: theirs.sum(&:total), items: theirs.map(&:item).to_set.sort }
end
puts JSON.pretty_generate(report)
