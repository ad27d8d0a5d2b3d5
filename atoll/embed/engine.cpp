#include <atoll/engine.hpp>

#include "atoll/embed/impl.hpp"

namespace atollvm {

Engine::Engine(const EngineOptions& options) : impl_(std::make_shared<Impl>()) {
  impl_->options = options;
}

const EngineOptions& Engine::options() const noexcept { return impl_->options; }

std::string_view version() noexcept { return ATOLL_VERSION; }

Error to_public(base::Error error) {
#define SAME(code) \
  static_assert(static_cast<int>(ErrorCode::code) == static_cast<int>(base::ErrorCode::code))
  SAME(malformed);
  SAME(invalid);
  SAME(unsupported);
  SAME(not_found);
  SAME(limit);
  SAME(io);
  SAME(denied);
  SAME(usage);
#undef SAME
  return {static_cast<ErrorCode>(error.code), std::move(error.place), std::move(error.message)};
}

}  // namespace atollvm
