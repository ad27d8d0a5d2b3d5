-- Primes below LIMIT, counted REPEAT times; prints the sum of the counts.
local LIMIT, REPEAT = 2000000, 20
local total = 0
local prime = {}
for i = 1, LIMIT do prime[i] = true end
for _ = 1, REPEAT do
  for i = 1, LIMIT do prime[i] = true end
  local count = 0
  for i = 2, LIMIT do
    if prime[i] then
      count = count + 1
      for j = i + i, LIMIT, i do prime[j] = false end
    end
  end
  total = total + count
end
print(total)
