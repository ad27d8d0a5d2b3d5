// Prints docs/hostcalls.md from the tables of stdlib/host:  gen_hostcalls > docs/hostcalls.md
// With --declarations: the source text of std.sys; with --c: stdlib/guest/c/atoll.h.
#include <iostream>
#include <string_view>

#include "stdlib/host/host.hpp"

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--declarations") {
    std::cout << atollvm::host::guest_declarations();
    return 0;
  }
  if (argc == 2 && std::string_view(argv[1]) == "--c") {
    std::cout << atollvm::host::guest_header();
    return 0;
  }
  if (argc != 1) {
    std::cerr << "usage: gen_hostcalls [--declarations | --c]\n";
    return 2;
  }
  std::cout << atollvm::host::reference_page();
  return 0;
}
