-- Sum of the escape times over a grid of SIZE x SIZE points.
local SIZE, LIMIT = 700, 200
local total = 0
for y = 0, SIZE - 1 do
  for x = 0, SIZE - 1 do
    local cr, ci = 2.0 * x / SIZE - 1.5, 2.0 * y / SIZE - 1.0
    local zr, zi, r2, i2, n = 0.0, 0.0, 0.0, 0.0, 0
    while n < LIMIT and r2 + i2 <= 4.0 do
      zi = 2 * zr * zi + ci
      zr = r2 - i2 + cr
      r2 = zr * zr
      i2 = zi * zi
      n = n + 1
    end
    total = total + n
  end
end
print(total)
