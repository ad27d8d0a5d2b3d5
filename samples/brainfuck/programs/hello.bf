Prints "Hello World!" and a newline

++++++++            cell 0 counts to eight and makes in the next cells
[
  >+++++++++        72   H
  >+++++++++++++    104  near the small letters
  >++++             32   space
  >+++++++++++      88   near W
  <<<<-
]
>.                  H
>---.               e
+++++++..           l l
+++.                o
>.                  space
>-.                 W
<<.                 o again
+++.                r
------.             l
--------.           d
>+.                 exclamation mark
[-]++++++++++.      newline
