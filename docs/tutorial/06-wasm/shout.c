// The plugin `shout` in C: it says the same louder.
#include <atoll.h>

enum { room = 1024 };
static char text[room];

// Where a message is put, and the answer found: `room` bytes.
__attribute__((export_name("buffer"))) char* buffer(void) { return text; }

// Answers the message of n bytes, less than `room`, in the buffer. Gives the answer's length.
__attribute__((export_name("answer"))) int answer(int n) {
  for (int i = 0; i < n; i++) {
    if (text[i] >= 'a' && text[i] <= 'z') text[i] -= 'a' - 'A';
  }
  text[n] = '!';
  return n + 1;
}

// To try it without a host: answers standard input.
__attribute__((export_name("main"))) int run(void) {
  const int n = atoll_read(ATOLL_STDIN, text, room - 1);
  if (n < 0) return 1;
  return atoll_write(ATOLL_STDOUT, text, answer(n)) < 0;
}
