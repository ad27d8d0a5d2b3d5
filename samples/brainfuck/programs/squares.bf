Prints the squares of 0 to 100

The square is a row of decimal digits; the next square is reached by adding one 2n plus 1 times

Cells: 0 R the squares that are left; 1 is 2n plus 1; 2 and 3 are free; 4 to 7 stand before the
digits as if they were one; from 8 on five digits with the ones first of four cells each: d the
digit; c ten less d; t free; k the carry to the next digit

>>>++++++++++[<<<++++++++++>>>-]<<<+    R is 101
>+                                      2n plus 1 is 1
>>>>>>>>                                to c of the ones
++++++++++>>>>++++++++++>>>>++++++++++>>>>++++++++++>>>>++++++++++
[<<<<]                                  ten less 0 in all; back to c before the digits
<<<<<                                   to R
[
    -
    >>>>>>>>>>+                         the ones are printed even when they are 0: their t is 1
    <[>>>>]<<<<                         to c of the highest digit
    [
        <[->>+>+<<<]                    d is added to t; so t says whether to print
        >>>[-<<<+>>>]                   d is back
        <[
            [-]>
            ++++++++++++++++++++++++
            ++++++++++++++++++++++++    k is the code of the figure 0
            <<<[->>+>+<<<]              plus d; t keeps d
            >>>.[-]
            <[-<<+>>]                   d is back
            <<<<+>>>>                   all lower digits are printed too
        ]
        <<<<<                           to c of the next lower digit
    ]
    >[-]++++++++++.[-]                  newline
    <<<<<                               to 2n plus 1
    [->+>+<<]>>[-<<+>>]<                a copy of it in cell 2
    [
        -
        >>>>>+                          carry one into the ones
        [                               while there is a carry in k
            ->+>-                       one more in d; one less in c
            >+<[>-]>                    t becomes 1 and stays 1 if c is 0
            [<++++++++++<---------->>>] in that case the digit becomes 0
            <[->+<]>                    and t is the carry to the next digit
        ]
        <<[<<<<]                        to c before the digits
        <<<                             to the copy
    ]
    <++                                 the next 2n plus 1
    <                                   to R
]
