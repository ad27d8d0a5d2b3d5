// Limits of the module format (docs/format.md). The reader checks those on counts before it
// allocates, the verifier checks all of them, so that a verified module can be written and read.
//
// The limits on counts keep reading and verifying within 64 MiB + 4 x the input: they bound the
// entries whose form in memory is more than 3 times their shortest form in the file (the input
// itself is the fourth part). Worst excess, in bytes an entry, from the sizes of the structs and
// glibc's smallest heap block of 32: type 100, import 132, constant operation 53 (an element item
// is a vector with a block), export 35, element segment 44, data segment 58, name 39, file 29;
// together below 52 MiB, tested by tests/verify/hostile_test.cpp. Functions, labels and line
// entries need no such limit: the reader asks for a word of code in the file for each.
#pragma once

#include "vm/base/types.hpp"

namespace atollvm::mod::limits {

inline constexpr u32 types = 65'536;
inline constexpr u32 params = 1'000;   // of a type
inline constexpr u32 results = 1'000;  // of a type
inline constexpr u32 imports = 32'768;
inline constexpr u32 functions = 1'000'000;
inline constexpr u32 tables = 10'000;
inline constexpr u32 memories = 1'000;
inline constexpr u32 globals = 100'000;
inline constexpr u32 exports = 65'536;
inline constexpr u32 elem_segments = 65'536;
inline constexpr u32 data_segments = 65'536;
inline constexpr u32 const_ops = 300'000;   // of all constant expressions of a module
inline constexpr u32 const_expr_ops = 100;  // of one
inline constexpr u32 code_words = 1u << 28;
inline constexpr u32 names = 300'000;
inline constexpr u32 files = 65'536;
inline constexpr u32 customs = 1'000;

inline constexpr u64 table_elements = 10'000'000;  // least size of a table
inline constexpr u64 table_maximum = 0xffff'ffff;  // largest size that a table states
inline constexpr u64 memory_pages = 65'536;        // of 65,536 bytes
inline constexpr u64 memory_bytes = 0xffff'0000;   // of a byte-granular memory
inline constexpr u64 memory_offset = 0xffff'ffff;  // largest, of a load or store

}  // namespace atollvm::mod::limits
