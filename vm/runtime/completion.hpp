// Where completions of parked host calls arrive; shared by a process and the tickets it gave out.
#pragma once

#include <functional>
#include <mutex>
#include <optional>

#include "vm/runtime/host.hpp"

namespace atollvm::runtime {

class CompletionPort : public std::enable_shared_from_this<CompletionPort> {
 public:
  // Opens a new ticket, of a job or of a call that waits; earlier ones are void from now on.
  // Process's thread.
  Completion open(std::function<void()> cancel, bool is_job);
  // Any thread.
  void finish(u64 generation, Finish finish);
  // Whether the open ticket was finished. Any thread.
  [[nodiscard]] bool ready() const;
  // Whether the open ticket, finished or not, is a job's. Any thread.
  [[nodiscard]] bool has_job() const;
  // The Finish that arrived; closes the ticket. Process's thread.
  std::optional<Finish> take();
  // The process is gone or the call is abandoned: voids the ticket, runs its cancel function.
  void abandon();
  void on_ready(std::function<void()> wake);

 private:
  mutable std::mutex mutex_;
  u64 generation_ = 0;  // of the open ticket; tickets of other generations are void
  bool open_ = false;
  bool is_job_ = false;
  std::optional<Finish> arrived_;
  std::function<void()> cancel_;
  std::function<void()> wake_;
};

}  // namespace atollvm::runtime
