-- Sorts COUNT numbers of a linear congruential generator; prints the least, the middle, the greatest.
local COUNT = 5000000
local floor = math.floor
local a = {}
local seed = 12345
for i = 0, COUNT - 1 do
  -- seed * 1664525 + 1013904223 modulo 2^32, the product in two halves so that doubles are exact
  local low, high = seed % 65536, floor(seed / 65536)
  seed = (low * 1664525 + ((high * 1664525) % 65536) * 65536 + 1013904223) % 4294967296
  a[i] = floor(seed / 2)
end

local function sort(low, high)
  while low < high do
    local pivot = a[floor((low + high) / 2)]
    local i, j = low, high
    while i <= j do
      while a[i] < pivot do i = i + 1 end
      while a[j] > pivot do j = j - 1 end
      if i <= j then
        local t = a[i]
        a[i] = a[j]
        a[j] = t
        i = i + 1
        j = j - 1
      end
    end
    -- The shorter part by recursion, the longer one in this loop.
    if j - low < high - i then
      sort(low, j)
      low = i
    else
      sort(i, high)
      high = j
    end
  end
end

sort(0, COUNT - 1)
for i = 1, COUNT - 1 do
  if a[i - 1] > a[i] then print("not sorted") end
end
print(a[0], a[floor(COUNT / 2)], a[COUNT - 1])
