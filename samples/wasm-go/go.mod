module sumtree

go 1.21
