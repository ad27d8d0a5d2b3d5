# Makes garbage of many sizes, keeps some of it, and checks what it kept.
kept = {}
60_000.times do |i|
  text = "object #{i} " * (1 + i % 13)
  kept[i] = [text, text.hash] if i % 50 == 0
  kept.delete(i - 20_000)
end
GC.start
broken = kept.count { |i, (text, hash)| text != "object #{i} " * (1 + i % 13) || text.hash != hash }
puts "#{kept.length} kept, #{broken} broken, collected: #{GC.count > 2}"
