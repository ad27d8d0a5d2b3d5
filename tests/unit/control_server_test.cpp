// The control socket and its client: permissions, stale sockets, and clients that behave badly.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atoll/control.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "scheduler/machine/protocol.hpp"
#include "scheduler/machine/server.hpp"
#include "tests/support/fake_operator.hpp"

namespace {

using namespace atollvm;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;
namespace fs = std::filesystem;

struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "control.XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
};

struct Fixture {
  Folder folder;
  std::string path = (folder.path / "socket").string();
  test::FakeOperator machines;
  std::unique_ptr<machine::Server> server;

  void start(u32 max_peers = 64, std::chrono::milliseconds patience = 10s) {
    auto started = machine::Server::start({path, max_peers, patience}, machines);
    REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().text()));
    server = std::move(*started);
  }
  control::Client connect() {
    auto client = control::Client::connect(path);
    REQUIRE_MESSAGE(client.ok(), (client.ok() ? "" : client.error().text()));
    return *std::move(client);
  }
  Json ask(control::Client& client, const char* request, const char* parameters = "{}") {
    const auto result = client.request(request, parameters);
    REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().text()));
    return Json::parse(*result);
  }
  std::string start_error() {
    const auto started = machine::Server::start({path}, machines);
    return started.ok() ? "" : started.error().message;
  }
};

// A client that does not keep to the rules.
class Raw {
 public:
  explicit Raw(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(::connect(fd_, reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) ==
            0);
  }
  ~Raw() { close(fd_); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  // False: the server has closed the connection.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<usize>(sent));
    }
    return true;
  }
  // As much as fits.
  void stuff(std::string_view bytes) const {
    while (::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
    }
  }
  // The next line; empty: the server has closed the connection. Waits for 20 s at most.
  std::string line() {
    while (true) {
      if (const usize end = buffer_.find('\n'); end != std::string::npos) {
        std::string result = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return result;
      }
      struct pollfd polled = {fd_, POLLIN, 0};
      REQUIRE(poll(&polled, 1, 20'000) == 1);
      char bytes[4096];
      const ssize_t got = recv(fd_, bytes, sizeof(bytes), 0);
      if (got <= 0) return "";
      buffer_.append(bytes, static_cast<usize>(got));
    }
  }
  Json answer() { return Json::parse(line(), nullptr, false); }
  void end() const { shutdown(fd_, SHUT_WR); }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::string buffer_;
};

TEST_CASE_FIXTURE(Fixture, "a socket for its owner alone, whatever the umask") {
  const mode_t before = umask(0);
  start();
  umask(before);
  struct stat status = {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  CHECK(S_ISSOCK(status.st_mode));
  CHECK((status.st_mode & 07777) == 0600);
  REQUIRE(lstat((path + ".lock").c_str(), &status) == 0);
  CHECK((status.st_mode & 0077) == 0);
  server.reset();
  CHECK(lstat(path.c_str(), &status) != 0);
}

TEST_CASE_FIXTURE(Fixture, "one server for a path; a socket that was left behind is replaced") {
  start();
  CHECK(start_error() == "another atoll serves this socket; choose another path, or end that one");
  auto client = connect();
  CHECK(ask(client, "info")["machines"] == 2);
  server.reset();
  CHECK(!client.request("info").ok());

  // As after kill -9: a socket, and nobody behind it.
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(bind(fd, reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) == 0);
  close(fd);
  const auto refused = control::Client::connect(path);
  REQUIRE(!refused.ok());
  CHECK(refused.error().code == ErrorCode::not_found);
  start();
  auto again = connect();
  CHECK(ask(again, "info")["machines"] == 2);
}

TEST_CASE_FIXTURE(Fixture, "paths that can't be served") {
  std::ofstream(path) << "text";
  CHECK(start_error() == "is there already, and is no socket");
  CHECK(fs::file_size(path) == 4);
  path = (folder.path / "none" / "socket").string();
  CHECK(start_error() == "No such file or directory");
  path = (folder.path / std::string(108, 'x')).string();
  CHECK(start_error() == "the path of a socket has at most 107 bytes");
  CHECK(control::Client::connect(path).error().code == ErrorCode::limit);
  CHECK(control::Client::connect((folder.path / "x").string()).error().code ==
        ErrorCode::not_found);
  // A link is not followed to a file that is not ours to lock.
  path = (folder.path / "linked").string();
  fs::create_symlink(folder.path / "other", path + ".lock");
  CHECK(!start_error().empty());
  CHECK(!fs::exists(folder.path / "other"));
}

TEST_CASE_FIXTURE(Fixture, "the client's answers and errors") {
  start();
  auto client = connect();
  CHECK(ask(client, "machines")["machines"][1]["name"] == "store");
  CHECK(ask(client, "start", R"({"machine": "batch"})")["machine"]["state"] == "running");
  auto wrong = client.request("start", R"({"machine": "batch"})");
  REQUIRE(!wrong.ok());
  CHECK(wrong.error().code == ErrorCode::usage);
  CHECK(wrong.error().text() == "batch: the machine's state does not allow it");
  wrong = client.request("create", R"({"spec": {"name": "x", "module": "/x", "weight": 0}})");
  REQUIRE(!wrong.ok());
  CHECK(wrong.error().code == ErrorCode::invalid);
  CHECK(wrong.error().place == "spec.weight");
  CHECK(client.request("info", "[]").error().code == ErrorCode::usage);
  CHECK(client.request("info", "{\"x\": \"" + std::string(2 << 20, 'x') + "\"}").error().code ==
        ErrorCode::limit);
  usize records = 0;
  const auto ended = client.stream("logs", R"({"machine": "store"})", [&](std::string_view event) {
    records += Json::parse(event)["records"].size();
    return true;
  });
  CHECK(ended.ok());
  CHECK(records == 2);
  CHECK(ask(client, "info")["processes"] == 6);
}

TEST_CASE_FIXTURE(Fixture, "a machine file's machine arrives as it was") {
  start();
  auto client = connect();
  const auto read =
      control::read_machines("m.toml",
                             "[[machine]]\nname = \"a\"\nmodule = \"a.atb\"\narguments = "
                             "[\"x\"]\nlimits.memory = \"1 MiB\"\n"
                             "process.overflow = \"kill\"\nrestart = \"always\"\n",
                             "/srv");
  REQUIRE(read.ok());
  const std::string parameters = R"({"start": true, "spec": )" + read->at(0).spec + "}";
  CHECK(ask(client, "create", parameters.c_str())["machine"]["memory_limit"] == 1 << 20);
  const machine::MachineSpec spec = machines.spec();
  CHECK(spec.module == "/srv/a.atb");
  CHECK(spec.arguments == std::vector<std::string>{"x"});
  CHECK(spec.process.overflow == sched::Overflow::kill);
  CHECK(spec.restart.when == machine::RestartRule::When::always);
  CHECK(control::read_machines("m.toml", "x = 1", "/").error().text() ==
        "m.toml:1:1: a machine file has no `x`; it may have policy, workers, machine, "
        "network, switch, router");
}

TEST_CASE_FIXTURE(Fixture, "lines in pieces, several at once, and without an end") {
  start();
  Raw raw(path);
  for (const char letter : std::string_view("{\"id\":1,\"request\":\"info\"}\n")) {
    REQUIRE(raw.send({&letter, 1}));
  }
  CHECK(raw.answer()["id"] == 1);
  REQUIRE(raw.send("{\"id\":2,\"request\":\"info\"}\n\n{\"id\":3,\"request\":\"info\"}\n{\"id\":"));
  CHECK(raw.answer()["id"] == 2);
  CHECK(raw.answer()["error"]["code"] == "malformed");
  CHECK(raw.answer()["id"] == 3);
  REQUIRE(raw.send("4,\"request\":\"info\"}"));
  raw.end();
  CHECK(raw.answer()["id"] == 4);
  CHECK(raw.line().empty());
  // A stream goes on for who only listens.
  Raw listener(path);
  REQUIRE(listener.send("{\"request\":\"top\",\"interval\":\"100ms\"}\n"));
  listener.end();
  for (int i = 0; i < 3; ++i) CHECK(listener.answer()["event"]["machines"].size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "huge lines are refused without being kept") {
  start();
  Raw raw(path);
  const std::string piece(1 << 16, 'x');
  for (int i = 0; i < 64; ++i) REQUIRE(raw.send(piece));
  CHECK(raw.answer()["error"]["code"] == "limit");
  for (int i = 0; i < 64; ++i) REQUIRE(raw.send(piece));
  REQUIRE(raw.send("\n{\"id\":1,\"request\":\"info\"}\n"));
  CHECK(raw.answer()["id"] == 1);
  // The longest that is taken.
  std::string line = "{\"id\":2,\"request\":\"info\"";
  line += std::string(machine::max_request - line.size() - 1, ' ') + "}";
  REQUIRE(raw.send(line + "\n"));
  CHECK(raw.answer()["id"] == 2);
  REQUIRE(raw.send(" " + line + "\n"));
  CHECK(raw.answer()["error"]["code"] == "limit");
}

TEST_CASE_FIXTURE(Fixture, "who never reads is closed, and holds up nobody") {
  machines.set_processes("store", 100'000);
  start(64, 200ms);
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "{\"request\":\"ps\",\"limit\":10000}\n";
  Raw raw(path);
  raw.stuff(requests);
  Raw streaming(path);
  REQUIRE(streaming.send("{\"request\":\"top\",\"interval\":\"100ms\",\"count\":1000}\n"));
  auto client = connect();
  for (int i = 0; i < 20; ++i) CHECK(ask(client, "info")["machines"] == 2);
  // The rest of what was asked is never answered.
  const Clock::time_point limit = Clock::now() + 20s;
  struct pollfd polled = {raw.fd(), 0, 0};
  while ((polled.revents & POLLHUP) == 0 && Clock::now() < limit) poll(&polled, 1, 100);
  CHECK((polled.revents & POLLHUP) != 0);
  CHECK(ask(client, "info")["machines"] == 2);
}

TEST_CASE_FIXTURE(Fixture, "a long operation holds up nobody") {
  machines.snapshot_time = 500ms;
  start();
  Raw raw(path);
  const Clock::time_point begin = Clock::now();
  REQUIRE(raw.send("{\"request\":\"snapshot\",\"machine\":\"store\",\"file\":\"/s\"}\n"));
  auto client = connect();
  CHECK(ask(client, "info")["machines"] == 2);
  CHECK(raw.answer()["result"]["processes"] == 3);
  CHECK(Clock::now() - begin >= 500ms);
}

TEST_CASE_FIXTURE(Fixture, "a hundred clients at once") {
  start(128);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&, i] {
      auto client = control::Client::connect(path);
      if (!client.ok()) return;
      bool is_good = true;
      for (int turn = 0; turn < 10; ++turn) {
        const std::string name = "m" + std::to_string(i);
        const std::string named = "{\"machine\": \"" + name + "\"}";
        is_good = is_good && client->request("info").ok() &&
                  client
                      ->request("create", R"({"start": true, "spec": {"module": "/m", "name": ")" +
                                              name + "\"}}")
                      .ok() &&
                  client->request("ps", named).ok() && client->request("destroy", named).ok();
      }
      good += is_good ? 1 : 0;
    });
  }
  for (std::thread& each : threads) each.join();
  CHECK(good == 100);
  auto client = connect();
  CHECK(ask(client, "info")["machines"] == 2);
}

TEST_CASE_FIXTURE(Fixture, "more clients than are taken are told so") {
  start(2);
  {
    auto first = connect();
    CHECK(ask(first, "info")["machines"] == 2);
    auto second = connect();
    CHECK(ask(second, "info")["machines"] == 2);
    auto third = connect();
    const auto refused = third.request("info");
    REQUIRE(!refused.ok());
    CHECK(refused.error().code == ErrorCode::limit);
    CHECK(refused.error().message == "too many connections");
  }
  // As soon as one has gone, there is room.
  bool has_room = false;
  for (int i = 0; i < 200 && !has_room; ++i) {
    has_room = connect().request("info").ok();
    std::this_thread::sleep_for(10ms);
  }
  CHECK(has_room);
}

TEST_CASE_FIXTURE(Fixture, "clients that go in the middle of a stream, an answer, a line") {
  machines.set_processes("store", 10'000);
  start(8);
  for (int i = 0; i < 50; ++i) {
    Raw raw(path);
    static_cast<void>(raw.send(i % 3 == 0   ? "{\"request\":\"top\",\"interval\":\"100ms\"}\n"
                               : i % 3 == 1 ? "{\"request\":\"ps\",\"limit\":10000}\n"
                                            : "{\"request\":"));
    if (i % 2 == 0) std::this_thread::sleep_for(2ms);
  }
  // Until the server has noticed.
  const Clock::time_point limit = Clock::now() + 60s;
  bool is_answered = false;
  while (!is_answered && Clock::now() < limit) is_answered = connect().request("info").ok();
  CHECK(is_answered);
}

TEST_CASE_FIXTURE(Fixture, "stopping ends streams and idle connections at once") {
  start();
  Raw idle(path);
  Raw streaming(path);
  REQUIRE(streaming.send("{\"request\":\"logs\",\"machine\":\"store\",\"follow\":true}\n"));
  CHECK(streaming.answer()["event"]["records"].size() == 2);
  auto client = connect();
  std::thread waiting([&] {
    const auto ended =
        client.stream("top", "{\"interval\": \"1h\"}", [](std::string_view) { return true; });
    CHECK(!ended.ok());
    CHECK(ended.error().message == "the server closed the connection");
  });
  std::this_thread::sleep_for(20ms);
  const Clock::time_point begin = Clock::now();
  server.reset();
  CHECK(Clock::now() - begin < 5s);
  waiting.join();
  CHECK(idle.line().empty());
  CHECK(streaming.line().empty());
}

TEST_CASE("the default socket") {
  const char* const folder = std::getenv("XDG_RUNTIME_DIR");
  const std::string before = folder != nullptr ? folder : "";
  setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  CHECK(control::default_socket() == "/run/user/7/atoll.sock");
  setenv("XDG_RUNTIME_DIR", "relative", 1);
  CHECK(control::default_socket() == "/run/atoll.sock");
  unsetenv("XDG_RUNTIME_DIR");
  CHECK(control::default_socket() == "/run/atoll.sock");
  if (folder != nullptr) setenv("XDG_RUNTIME_DIR", before.c_str(), 1);
}

}  // namespace
