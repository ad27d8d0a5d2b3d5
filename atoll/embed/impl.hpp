// What is behind the opaque classes of the public headers.
#pragma once

#include <memory>

#include <atoll/engine.hpp>
#include <atoll/module.hpp>
#include <atoll/result.hpp>

#include "atoll/embed/watchdog.hpp"
#include "vm/base/result.hpp"
#include "vm/runtime/memory.hpp"
#include "vm/runtime/program.hpp"

namespace atollvm {

struct Engine::Impl {
  EngineOptions options;
  Watchdog watchdog;
};

struct Module::Impl {
  std::shared_ptr<Engine::Impl> engine;
  std::shared_ptr<const runtime::Program> program;
};

// The way of the other sources in this folder into the opaque classes.
struct Access {
  static const std::shared_ptr<Engine::Impl>& impl(const Engine& engine) { return engine.impl_; }
  static const std::shared_ptr<const Module::Impl>& impl(const Module& module) {
    return module.impl_;
  }
};

// The same error, in the public type.
Error to_public(base::Error error);
ValueType to_public(mod::ValType type);

}  // namespace atollvm
