// The C interface's objects and errors in tests.
#pragma once

#include <atoll.h>
#include <doctest/doctest.h>

#include <cstring>
#include <memory>

namespace atollvm::test {

// The error's code, which is freed; -1 for none.
inline int code_of(atoll_error* error) {
  if (error == nullptr) return -1;
  const int code = atoll_error_code(error);
  CHECK(std::strlen(atoll_error_text(error)) > 0);
  atoll_error_free(error);
  return code;
}

template <class T, void (*free)(T*)>
struct Free {
  void operator()(T* object) const { free(object); }
};
template <class T, void (*free)(T*)>
using Owned = std::unique_ptr<T, Free<T, free>>;

}  // namespace atollvm::test
