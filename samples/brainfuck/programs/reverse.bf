Copies its input backwards

>,[>,]      read up to the end which gives 0
<[.<]       write back to the 0 before the first byte
