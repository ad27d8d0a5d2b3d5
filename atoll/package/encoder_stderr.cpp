// Debian's libasmjit.a can be in a shared library but for one access: its failed assertions print
// to `stderr` as if that were in the same program. CMakeLists.txt gives its copy this one instead.
#include <cstdio>

extern "C" {
[[gnu::visibility("hidden")]] extern FILE* atoll_encoder_stderr;
FILE* atoll_encoder_stderr = stderr;
}
