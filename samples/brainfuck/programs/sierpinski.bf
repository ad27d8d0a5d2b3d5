Prints the Sierpinski triangle with 32 rows: the rows of Pascal's triangle modulo 2

Cells: 0 is always zero; 1 is R the rows that are left; 2 and 3 are free; from 4 on each column has
four cells: a which is one for a column that exists; b its bit; t what comes from the column before;
x which is free

>>++++[<++++++++>-]             R is 32
>>>>+                           the first row comes from a one beside the first column
<<<<<                           to R
[
    -
    [->+>+<<]                   copy R to the two free cells
    >>[-<<+>>]                  and one of them back
    ++++++++++++++++++++++++++++++++
    <[->.<]                     that many spaces before the row
    >[-]>                       to the first column
    [
        >                       to b
        [->>+>>>+<<<<<]         copy b to x and to t of the next column
        >>[-<<+>>]              b is back
        <[-                     if t is one then b becomes one minus b
            <[->>+<<]+
            >>[-<<->>]<
        ]
        <                       to b; print it
        [->+>++++++++++<<]      x is 10 times b and t a copy
        >[-<+>]                 b is back
        ++++[>++++++++<-]       x is 32 more: a space or a star
        >.[-]
        <++++[>++++++++<-]>.[-] and a space
        >                       to the next column
    ]
    +>                          a new column; t is its bit
    >[-<+>]<
        [->+>++++++++++<<]      x is 10 times b and t a copy
        >[-<+>]                 b is back
        ++++[>++++++++<-]       x is 32 more: a space or a star
        >.[-]
        <++++[>++++++++<-]>.[-] and a space
    ++++++++++.[-]              newline
    <<<[<<<<]                   back to cell 0
    >                           and to R
]
