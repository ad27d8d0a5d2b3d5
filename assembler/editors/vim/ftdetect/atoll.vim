autocmd BufNewFile,BufRead *.atoll setfiletype atoll
