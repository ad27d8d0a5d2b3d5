// One conversation of the control protocol, without the socket: lines in, lines out.
// docs/control.md describes the protocol.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "scheduler/machine/operator.hpp"

namespace atollvm::machine {

inline constexpr u32 protocol_version = 1;
inline constexpr usize max_request = 1 << 20;  // bytes of a line
inline constexpr usize max_streams = 8;        // of a connection

// Threads: one at a time. Times are nanoseconds on a clock that does not run backwards.
class Session {
 public:
  explicit Session(Operator& machines) : operator_(machines) {}

  // Answers one request, a line without its newline: appends a reply, which ends with a newline, or
  // begins a stream.
  void request(std::string_view line, u64 now, std::string& out);
  // Answers a line of more than max_request bytes.
  static void refuse_line(std::string& out);

  // When some stream goes on; nothing: there is none.
  [[nodiscard]] std::optional<u64> due() const;
  // Appends the events that are due.
  void advance(u64 now, std::string& out);

 private:
  using Json = nlohmann::ordered_json;
  struct Call;
  struct Row;
  struct Stream {
    std::string id;  // as JSON
    bool is_log = false;
    std::string machine;  // empty (top): all
    u64 due = 0;
    u64 after = 0;     // log: number of the newest record that was sent
    u64 interval = 0;  // top
    u64 sampled = 0;   // top: when
    u32 count = 0;     // top: processes
    // top: CPU time before, by machine, and by machine and pid.
    std::unordered_map<std::string, u64> cpu{};
  };
  static const Row rows[];

  void info(Call& call);
  void list(Call& call);
  void ps(Call& call);
  void top(Call& call);
  void create(Call& call);
  void start(Call& call);
  void pause(Call& call);
  void resume(Call& call);
  void kill(Call& call);
  void destroy(Call& call);
  void logs(Call& call);
  void snapshot(Call& call);
  void restore(Call& call);
  void cancel(Call& call);
  static void finish(Call& call, const base::Status& done);
  void net_show(Call& call);
  void net_link(Call& call);
  void net_partition(Call& call);
  void net_heal(Call& call);
  void net_capture(Call& call);
  void change(Call& call, base::Result<MachineStatus> (Operator::*action)(const std::string&));
  bool open(Call& call, Stream stream);

  // Each gives false where the stream has ended.
  bool advance_log(Stream& stream, u64 now, std::string& out);
  bool advance_top(Stream& stream, u64 now, std::string& out);
  base::Result<std::string> sample(Stream& stream, u64 now);

  Operator& operator_;
  std::vector<Stream> streams_;
};

}  // namespace atollvm::machine
