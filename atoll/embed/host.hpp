// What stands behind Caller, Deferred, Imports and HostObject.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <atoll/host.hpp>

#include "vm/cap/object.hpp"
#include "vm/runtime/host.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm {

class Profiler;

// Of a process, for its host functions; runtime::Process::owner. On a scheduler's worker it is the
// thread's: from such a call to the process's end there, no other process runs.
struct HostState {
  // The calling worker's.
  static HostState& of_worker();

  void* process = nullptr;       // its Callee; null on a worker
  Profiler* profiler = nullptr;  // what runs it in place of its tier; null: none
  std::string message;           // of the last Caller::fail
  // How the process ends when the host function returns, whatever it gives: as a call of the guest
  // that it made was ended.
  std::optional<runtime::HostResult> ends;
};

// The Callee by which a host function calls the process that it was called by, on this worker.
void* task_callee(runtime::Process& process);

// An embedder's object in a handle table. No other object is of this kind.
class ObjectHolder : public cap::Object {
 public:
  explicit ObjectHolder(std::shared_ptr<HostObject> object)
      : cap::Object(cap::Kind::host), object_(std::move(object)) {}
  [[nodiscard]] const std::shared_ptr<HostObject>& object() const { return object_; }

 private:
  std::shared_ptr<HostObject> object_;
};

struct Imports::Impl {
  std::vector<runtime::HostFunction> functions;
};

}  // namespace atollvm
