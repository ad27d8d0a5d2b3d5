#include <atoll/engine.hpp>

#include "atoll/embed/impl.hpp"
#include "vm/interp/interp.hpp"
#include "vm/jit/jit.hpp"

namespace atollvm {

Engine::Engine(const EngineOptions& options) : impl_(std::make_shared<Impl>()) {
  impl_->options = options;
  jit::PoolOptions pool;
  pool.limit = options.code_memory;
  pool.warm_up = options.warm_up;
  impl_->pool = jit::make_pool(pool);
}

RunTier tier_of(const EngineOptions& options) {
  if (options.code_memory == 0) return interp::run;
  switch (options.tier) {
    case Tier::jit:
      return options.hardened ? jit::run_hardened : jit::run;
    case Tier::automatic:
      return options.hardened ? jit::run_hardened : jit::run_auto;
    case Tier::interp:
      break;
  }
  return interp::run;
}

sched::Scheduler::Options with_pool(sched::Scheduler::Options options, const Engine::Impl& engine) {
  options.pool = engine.pool.get();
  return options;
}

const EngineOptions& Engine::options() const noexcept { return impl_->options; }

Result<std::string> write_jitdump(const std::string& folder) {
  auto path = jit::write_jitdump(folder);
  if (!path) return to_public(std::move(path).error());
  return *std::move(path);
}

void register_with_gdb() { jit::register_with_gdb(); }

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
