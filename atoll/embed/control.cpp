#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include <atoll/control.hpp>

#include "atoll/embed/impl.hpp"
#include "scheduler/machine/protocol.hpp"
#include "scheduler/machine/spec.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm::control {

namespace {

using Json = nlohmann::ordered_json;

constexpr usize max_line = 64 << 20;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_in(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

// The error that a reply tells of.
Error error_of(const Json& json) {
  constexpr std::pair<const char*, ErrorCode> codes[] = {{"malformed", ErrorCode::malformed},
                                                         {"invalid", ErrorCode::invalid},
                                                         {"unsupported", ErrorCode::unsupported},
                                                         {"not_found", ErrorCode::not_found},
                                                         {"limit", ErrorCode::limit},
                                                         {"io", ErrorCode::io},
                                                         {"denied", ErrorCode::denied},
                                                         {"usage", ErrorCode::usage}};
  Error error{ErrorCode::io, text_in(json, "place"), text_in(json, "message")};
  const std::string code = text_in(json, "code");
  for (const auto& [name, value] : codes) {
    if (code == name) error.code = value;
  }
  if (error.message.empty()) error.message = "the server refused, and did not say why";
  return error;
}

Error system_error(const std::string& path, int number) {
  const ErrorCode code = number == ENOENT || number == ENOTDIR || number == ECONNREFUSED
                             ? ErrorCode::not_found
                         : number == EACCES || number == EPERM ? ErrorCode::denied
                                                               : ErrorCode::io;
  return {code, base::printable(path, 200), std::strerror(number)};
}

}  // namespace

std::string default_socket() {
  const char* const folder = std::getenv("XDG_RUNTIME_DIR");
  return std::string(folder != nullptr && *folder == '/' ? folder : "/run") + "/atoll.sock";
}

struct Client::Impl {
  std::string path;
  int fd = -1;
  u64 requests = 0;
  std::string buffer;

  ~Impl() {
    if (fd >= 0) close(fd);
  }

  Error broken(int number) const {
    return {ErrorCode::io, base::printable(path, 200),
            number == 0 || number == EPIPE || number == ECONNRESET
                ? "the server closed the connection"
                : std::strerror(number)};
  }

  // Sends the request; gives what it is called.
  Result<std::string> send(std::string_view name, std::string_view parameters) {
    const Json given = Json::parse(parameters, nullptr, false);
    if (!given.is_object()) return Error{ErrorCode::usage, "", "parameters must be a JSON object"};
    Json line = {{"v", machine::protocol_version}, {"id", ++requests}, {"request", name}};
    line.update(given);
    std::string text = text_of(line) + "\n";
    if (text.size() > machine::max_request) {
      return Error{ErrorCode::limit, "",
                   fmt::format("a request of more than {} bytes", machine::max_request)};
    }
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      // It may have said why it closes before it did.
      if (sent < 0 && errno == EPIPE) break;
      if (sent < 0) return broken(errno);
      rest.remove_prefix(static_cast<usize>(sent));
    }
    return fmt::format("{}", requests);
  }

  Result<std::string> next_line() {
    usize looked = 0;
    while (true) {
      if (const usize end = buffer.find('\n', looked); end != std::string::npos) {
        std::string line = buffer.substr(0, end);
        buffer.erase(0, end + 1);
        return line;
      }
      looked = buffer.size();
      if (looked > max_line) {
        return Error{ErrorCode::malformed, base::printable(path, 200),
                     "the server sent a line of more than 64 MiB"};
      }
      constexpr usize chunk = 64 << 10;
      buffer.resize(looked + chunk);
      const ssize_t got = recv(fd, buffer.data() + looked, chunk, 0);
      const int error = errno;
      buffer.resize(looked + static_cast<usize>(std::max<ssize_t>(got, 0)));
      if (got < 0 && error == EINTR) continue;
      if (got <= 0) return broken(got == 0 ? 0 : error);
    }
  }

  Result<std::string> wait(const std::string& id,
                           const std::function<bool(std::string_view)>* take) {
    while (true) {
      const Result<std::string> line = next_line();
      if (!line) return line.error();
      const Json reply = Json::parse(*line, nullptr, false);
      const auto own = reply.is_object() ? reply.find("id") : reply.end();
      if (!reply.is_object() || own == reply.end()) {
        return Error{ErrorCode::malformed, base::printable(path, 200),
                     "this is no control socket of atoll"};
      }
      if (const auto error = reply.find("error"); error != reply.end()) {
        // Without an id: about the connection as a whole.
        if (own->is_null() || own->dump() == id) return error_of(*error);
      } else if (own->dump() == id) {
        if (const auto result = reply.find("result"); result != reply.end())
          return text_of(*result);
        const auto event = reply.find("event");
        if (event != reply.end() && take != nullptr && !(*take)(text_of(*event)))
          return std::string("{}");
      }
    }
  }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;
Client::Client(Client&& other) noexcept = default;
Client& Client::operator=(Client&& other) noexcept = default;

Result<Client> Client::connect(const std::string& path) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Error{ErrorCode::limit, base::printable(path, 200),
                 "the path of a socket has at most 107 bytes"};
  }
  std::ranges::copy(path, address.sun_path);
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (impl->fd < 0) return system_error(path, errno);
  int status = 0;
  do {
    status =
        ::connect(impl->fd, reinterpret_cast<const struct sockaddr*>(&address), sizeof(address));
  } while (status != 0 && errno == EINTR);
  if (status != 0) return system_error(path, errno);
  return Client(std::move(impl));
}

Result<std::string> Client::request(std::string_view name, std::string_view parameters) {
  const Result<std::string> id = impl_->send(name, parameters);
  return id ? impl_->wait(*id, nullptr) : id;
}

Result<std::string> Client::stream(std::string_view name, std::string_view parameters,
                                   const std::function<bool(std::string_view event)>& take) {
  const Result<std::string> id = impl_->send(name, parameters);
  return id ? impl_->wait(*id, &take) : id;
}

Result<std::vector<MachineDescription>> read_machines(std::string_view name, std::string_view text,
                                                      std::string_view folder) {
  const auto file = machine::read_machine_file(name, text, folder);
  if (!file) return to_public(file.error());
  std::vector<MachineDescription> result;
  for (const machine::MachineSpec& spec : file->machines) {
    result.push_back({spec.name, text_of(to_json(spec))});
  }
  return result;
}

}  // namespace atollvm::control
