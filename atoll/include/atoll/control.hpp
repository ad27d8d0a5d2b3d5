// Talking to a running `atoll serve`: the client's side of the control protocol (docs/control.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm::control {

// Where the control socket is unless somebody says otherwise: $XDG_RUNTIME_DIR/atoll.sock, or
// /run/atoll.sock where that variable is not set.
std::string default_socket();

// One connection. Threads: one at a time.
class Client {
 public:
  // Errors: not_found (nobody listens there), denied (the socket is not for this user), limit (a
  // path of more than 107 bytes), io.
  static Result<Client> connect(const std::string& path);
  ~Client();
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;

  // Asks and waits for the answer: the reply's `result` as JSON. `parameters` is a JSON object with
  // what the request takes besides its name. Errors: those of the server, with the parameter that
  // is wrong as place; malformed (the server's line makes no sense), io (the connection is broken),
  // usage (`parameters` is no JSON object).
  Result<std::string> request(std::string_view name, std::string_view parameters = "{}");

  // The same for `logs` and `top`: calls `take` with each event as JSON, until that gives false or
  // the server ends the stream. Afterwards the connection is good for nothing unless the server
  // ended it.
  Result<std::string> stream(std::string_view name, std::string_view parameters,
                             const std::function<bool(std::string_view event)>& take);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A machine out of a machine file (docs/machines.md), as `create` takes it.
struct MachineDescription {
  std::string name;
  std::string spec;  // JSON
};

// Reads a machine file's text; `name` is for messages. Relative paths are relative to `folder`, an
// absolute path. Errors: malformed (no TOML), invalid (both with "name:line:column" as place),
// limit.
Result<std::vector<MachineDescription>> read_machines(std::string_view name, std::string_view text,
                                                      std::string_view folder);

}  // namespace atollvm::control
#pragma GCC visibility pop
