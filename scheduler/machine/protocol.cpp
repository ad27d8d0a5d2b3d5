#include "scheduler/machine/protocol.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "vm/base/utf8.hpp"

namespace atollvm::machine {

using base::Error;
using base::ErrorCode;

namespace {

using Json = nlohmann::ordered_json;

constexpr u64 ms = 1'000'000;
constexpr u64 log_pause = 100 * ms;  // between looks at a log that is followed
constexpr u32 log_page = 1000;
constexpr u32 log_lines = 1000;
constexpr u32 max_log_lines = 10'000;
constexpr u64 first_sample = 250 * ms;  // of top
constexpr u32 ps_limit = 1000;
constexpr u32 page = 10'000;
constexpr usize max_name = 200;
constexpr usize max_sampled = 100'000;  // processes that top looks at

std::string text_of(const Json& json) {
  // Names and logs are guests': invalid UTF-8 is replaced.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const char* word(ErrorCode code) {
  switch (code) {
    case ErrorCode::malformed:
      return "malformed";
    case ErrorCode::invalid:
      return "invalid";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::limit:
      return "limit";
    case ErrorCode::io:
      return "io";
    case ErrorCode::denied:
      return "denied";
    case ErrorCode::usage:
      return "usage";
  }
  return "usage";
}

void answer(const std::string& id, std::string_view kind, const Json& value, std::string& out) {
  out += fmt::format(R"({{"id":{},"{}":{}}})", id, kind, text_of(value));
  out += '\n';
}

void answer(const std::string& id, const Error& error, std::string& out) {
  Json json = {{"code", word(error.code)}};
  if (!error.place.empty()) json["place"] = error.place;
  json["message"] = error.message;
  answer(id, "error", json, out);
}

double seconds(u64 nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

constexpr const char* machine_states[] = {"created",    "running", "paused",
                                          "restarting", "ended",   "failed"};
constexpr const char* process_states[] = {"ready", "running", "waiting", "paused"};
constexpr const char* exit_reasons[] = {"normal", "code",   "trap",    "killed", "fuel",
                                        "time",   "memory", "mailbox", "noproc", "stopped"};
constexpr const char* log_streams[] = {"stdout", "stderr", "system"};

template <class Enum, usize n>
const char* word(const char* const (&words)[n], Enum value) {
  return static_cast<usize>(value) < n ? words[static_cast<usize>(value)] : "unknown";
}

Json json_of(const MachineStatus& status) {
  Json json = {{"name", status.name},         {"state", word(machine_states, status.state)},
               {"weight", status.weight},     {"processes", status.processes},
               {"root", status.root},         {"cpu", seconds(status.cpu)},
               {"memory", status.memory},     {"memory_limit", status.memory_limit},
               {"messages", status.messages}, {"handles", status.handles},
               {"io_bytes", status.io_bytes}, {"io_operations", status.io_operations},
               {"restarts", status.restarts}, {"created", seconds(status.created)}};
  json["started"] = nullptr;
  if (status.started) json["started"] = seconds(*status.started);
  json["exit"] = nullptr;
  if (status.exit) {
    json["exit"] = {{"reason", word(exit_reasons, status.exit->reason)},
                    {"code", status.exit->code},
                    {"message", status.exit->message}};
  }
  return json;
}

Json json_of(const ProcessStatus& status) {
  return {{"machine", status.machine},
          {"pid", status.pid},
          {"parent", status.parent},
          {"name", status.name},
          {"state", word(process_states, status.state)},
          {"weight", status.weight},
          {"priority", status.priority},
          {"cpu", seconds(status.cpu)},
          {"memory", status.memory},
          {"stack", status.stack},
          {"messages", status.messages},
          {"mailbox_bytes", status.mailbox_bytes},
          {"handles", status.handles},
          {"links", status.links}};
}

Json json_of(const LogRecord& record) {
  return {{"number", record.number},
          {"time", seconds(record.time)},
          {"stream", word(log_streams, record.stream)},
          {"pid", record.pid},
          {"text", record.text}};
}

}  // namespace

struct Session::Call {
  const Node& root;
  Reader& reader;
  std::string id;  // as JSON
  u64 now;
  std::string& out;

  // A machine's name.
  std::string name(std::string_view key, bool is_needed) {
    const Node* const node = root.find(key);
    if (node == nullptr) {
      if (is_needed) reader.fail(root, fmt::format("needs `{}`: a machine's name", key));
      return "";
    }
    if (node->text() != nullptr && is_machine_name(*node->text())) return *node->text();
    reader.fail(*node, fmt::format("`{}` must be a machine's name", key));
    return "";
  }
  std::string file() {
    std::string path = reader.text(root, "file", "", max_path);
    if (path.empty() || path[0] != '/') reader.fail(root, "needs `file`: an absolute path");
    return path;
  }
  std::vector<std::string> names(std::string_view key, bool is_needed) {
    constexpr usize most = 1000;
    std::vector<std::string> result;
    const Node* const node = root.find(key);
    if (node == nullptr) {
      if (is_needed) reader.fail(root, fmt::format("needs `{}`: a list of names", key));
      return result;
    }
    const List* const list = node->list();
    if (list == nullptr || list->empty() || list->size() > most ||
        !std::ranges::all_of(*list, [](const Node& each) { return each.text() != nullptr; })) {
      reader.fail(*node, fmt::format("`{}` must be a list of 1 to {} names", key, most));
      return result;
    }
    for (const Node& each : *list) result.push_back(*each.text());
    return result;
  }
  // Answers with the mistake, if there is one.
  bool is_wrong() {
    if (reader.ok()) return false;
    answer(id, *reader.error(), out);
    return true;
  }
  void reply(const Json& result) { answer(id, "result", result, out); }
  void fail(const Error& error) { answer(id, error, out); }
};

struct Session::Row {
  std::string_view name;
  std::string_view keys[4];  // besides v, id and request; the rest are empty
  void (Session::*run)(Call& call);
};

constexpr Session::Row Session::rows[] = {
    {"info", {}, &Session::info},
    {"machines", {"machine"}, &Session::list},
    {"ps", {"machine", "after", "limit"}, &Session::ps},
    {"top", {"machine", "interval", "count"}, &Session::top},
    {"create", {"spec", "start"}, &Session::create},
    {"start", {"machine"}, &Session::start},
    {"pause", {"machine"}, &Session::pause},
    {"resume", {"machine"}, &Session::resume},
    {"kill", {"machine", "pid"}, &Session::kill},
    {"destroy", {"machine"}, &Session::destroy},
    {"logs", {"machine", "lines", "follow"}, &Session::logs},
    {"snapshot", {"machine", "file"}, &Session::snapshot},
    {"restore", {"file", "machine", "spec", "grant"}, &Session::restore},
    {"cancel", {"stream"}, &Session::cancel},
    {"net_show", {"svg"}, &Session::net_show},
    {"net_link", {"nic", "link", "way"}, &Session::net_link},
    {"net_partition", {"from", "to", "one_way"}, &Session::net_partition},
    {"net_heal", {"from", "to"}, &Session::net_heal},
    {"net_capture", {"at", "file"}, &Session::net_capture},
};

namespace {

// An id, as JSON; nothing where it can't be one.
std::optional<std::string> id_text(const Node* node) {
  if (node == nullptr) return "null";
  if (const i64* number = std::get_if<i64>(&node->value)) return fmt::format("{}", *number);
  if (node->text() != nullptr && node->text()->size() <= 64) return text_of(*node->text());
  return std::nullopt;
}

}  // namespace

void Session::refuse_line(std::string& out) {
  answer("null", {ErrorCode::limit, "", fmt::format("a line of more than {} bytes", max_request)},
         out);
}

void Session::request(std::string_view line, u64 now, std::string& out) {
  const auto document = Document::json(line, max_request);
  if (!document) return answer("null", document.error(), out);
  const Node& root = document->root();
  Reader reader(*document);
  const auto id = id_text(root.find("id"));
  if (!id) reader.fail(*root.find("id"), "`id` must be a number or a text of at most 64 bytes");
  Call call{root, reader, id.value_or("null"), now, out};
  const u64 version = reader.integer(root, "v", 0, INT64_MAX, protocol_version);
  if (version != protocol_version) {
    reader.fail(*root.find("v"),
                fmt::format("this speaks version {} of the protocol", protocol_version),
                ErrorCode::unsupported);
  }
  const Node* const request = root.find("request");
  if (request == nullptr || request->text() == nullptr) {
    reader.fail(request != nullptr ? *request : root, "needs `request`: the name of one");
  }
  if (call.is_wrong()) return;
  const auto* const row = std::ranges::find(rows, *request->text(), &Row::name);
  if (row == std::end(rows)) {
    return call.fail({ErrorCode::unsupported, "request",
                      fmt::format("there is no request `{}`", base::printable(*request->text()))});
  }
  std::vector<std::string_view> keys = {"v", "id", "request"};
  for (const std::string_view key : row->keys) {
    if (!key.empty()) keys.push_back(key);
  }
  reader.known(root, fmt::format("`{}`", row->name), keys);
  (this->*row->run)(call);
}

void Session::info(Call& call) {
  if (call.is_wrong()) return;
  const Info info = operator_.info();
  call.reply({{"protocol", protocol_version},
              {"version", ATOLL_VERSION},
              {"pid", getpid()},
              {"started", seconds(info.started)},
              {"policy", info.policy},
              {"workers", info.workers},
              {"machines", info.machines},
              {"processes", info.processes}});
}

void Session::list(Call& call) {
  const std::string name = call.name("machine", false);
  if (call.is_wrong()) return;
  const auto machines = operator_.machines(name);
  if (!machines) return call.fail(machines.error());
  Json list = Json::array();
  for (const MachineStatus& each : *machines) list.push_back(json_of(each));
  call.reply({{"machines", std::move(list)}});
}

void Session::ps(Call& call) {
  ProcessQuery query;
  query.machine = call.name("machine", false);
  query.limit = static_cast<u32>(call.reader.integer(call.root, "limit", 1, page, ps_limit));
  if (const Node* after = call.root.find("after")) {
    call.reader.known(*after, "`after`", {"machine", "pid"});
    query.after_machine = call.reader.text(*after, "machine", "");
    query.after_pid = static_cast<i64>(call.reader.integer(*after, "pid", 0, INT64_MAX, 0));
  }
  if (call.is_wrong()) return;
  const auto processes = operator_.processes(query);
  if (!processes) return call.fail(processes.error());
  Json list = Json::array();
  for (const ProcessStatus& each : *processes) list.push_back(json_of(each));
  Json result = {{"processes", std::move(list)}};
  if (processes->size() >= query.limit) {
    result["next"] = {{"machine", processes->back().machine}, {"pid", processes->back().pid}};
  }
  call.reply(result);
}

void Session::create(Call& call) {
  const bool starts = call.reader.boolean(call.root, "start", false);
  const Node* const node = call.root.find("spec");
  if (node == nullptr) call.reader.fail(call.root, "needs `spec`: what the machine is made of");
  const MachineSpec spec = node != nullptr ? read_machine(call.reader, *node, "") : MachineSpec();
  if (call.is_wrong()) return;
  auto status = operator_.create(spec);
  if (status && starts) status = operator_.start(spec.name);
  if (!status) return call.fail(status.error());
  call.reply({{"machine", json_of(*status)}});
}

void Session::change(Call& call,
                     base::Result<MachineStatus> (Operator::*action)(const std::string&)) {
  const std::string name = call.name("machine", true);
  if (call.is_wrong()) return;
  const auto status = (operator_.*action)(name);
  if (!status) return call.fail(status.error());
  call.reply({{"machine", json_of(*status)}});
}

void Session::start(Call& call) { change(call, &Operator::start); }
void Session::pause(Call& call) { change(call, &Operator::pause); }
void Session::resume(Call& call) { change(call, &Operator::resume); }

void Session::kill(Call& call) {
  const std::string name = call.name("machine", true);
  const auto pid = static_cast<i64>(call.reader.integer(call.root, "pid", 1, INT64_MAX, 0));
  if (call.is_wrong()) return;
  const auto status = operator_.kill(name, pid);
  if (!status) return call.fail(status.error());
  call.reply({{"machine", json_of(*status)}});
}

void Session::destroy(Call& call) {
  const std::string name = call.name("machine", true);
  if (call.is_wrong()) return;
  const base::Status status = operator_.destroy(name);
  if (!status) return call.fail(status.error());
  call.reply(Json::object());
}

void Session::snapshot(Call& call) {
  const std::string name = call.name("machine", true);
  const std::string file = call.file();
  if (call.is_wrong()) return;
  const auto made = operator_.snapshot(name, file);
  if (!made) return call.fail(made.error());
  call.reply({{"bytes", made->bytes}, {"processes", made->processes}});
}

void Session::restore(Call& call) {
  const std::string name = call.name("machine", false);
  RestoreRequest request{call.file(), name, std::nullopt,
                         call.reader.boolean(call.root, "grant", false)};
  if (const Node* const node = call.root.find("spec")) {
    request.spec = read_machine(call.reader, *node, "");
    if (request.grants) call.reader.fail(*node, "a `spec` says what is granted: leave `grant` out");
  }
  if (call.is_wrong()) return;
  const auto status = operator_.restore(request);
  if (!status) return call.fail(status.error());
  call.reply({{"machine", json_of(*status)}});
}

// --- Virtual networks ---

namespace {

Error no_networks() { return {ErrorCode::not_found, "", "the server has no virtual networks"}; }

}  // namespace

void Session::net_show(Call& call) {
  const bool as_svg = call.reader.boolean(call.root, "svg", false);
  if (call.is_wrong()) return;
  NetworkOperator* const networks = operator_.networks();
  if (networks == nullptr) return call.fail(no_networks());
  call.reply({{"text", networks->show(as_svg)}});
}

void Session::finish(Call& call, const base::Status& done) {
  if (!done) return call.fail(done.error());
  call.reply(Json::object());
}

void Session::net_link(Call& call) {
  static constexpr std::string_view ways[] = {"both", "out", "in"};
  const std::string nic = call.reader.text(call.root, "nic", "", max_name);
  if (nic.empty()) call.reader.fail(call.root, "needs `nic`: its name, NODE-SWITCH");
  const auto way = static_cast<NetworkOperator::Way>(call.reader.word(call.root, "way", ways, 0));
  LinkSpec link;
  if (const Node* const node = call.root.find("link")) {
    call.reader.known(*node, "`link`", link_keys);
    link = read_link(call.reader, *node);
  } else {
    call.reader.fail(call.root, "needs `link`: what is to be another value");
  }
  if (call.is_wrong()) return;
  NetworkOperator* const networks = operator_.networks();
  if (networks == nullptr) return call.fail(no_networks());
  finish(call, networks->link(nic, link, way));
}

void Session::net_partition(Call& call) {
  const auto from = call.names("from", true);
  const auto to = call.names("to", false);
  const bool is_one_way = call.reader.boolean(call.root, "one_way", false);
  if (call.is_wrong()) return;
  NetworkOperator* const networks = operator_.networks();
  if (networks == nullptr) return call.fail(no_networks());
  finish(call, networks->partition(from, to, is_one_way));
}

void Session::net_heal(Call& call) {
  const auto from = call.names("from", false);
  const auto to = call.names("to", false);
  if (from.empty() && !to.empty()) call.reader.fail(call.root, "needs `from` with `to`");
  if (call.is_wrong()) return;
  NetworkOperator* const networks = operator_.networks();
  if (networks == nullptr) return call.fail(no_networks());
  finish(call, networks->heal(from, to));
}

void Session::net_capture(Call& call) {
  const auto at = call.names("at", true);
  const std::string file = call.root.find("file") != nullptr ? call.file() : "";
  if (call.is_wrong()) return;
  NetworkOperator* const networks = operator_.networks();
  if (networks == nullptr) return call.fail(no_networks());
  finish(call, networks->capture(at, file));
}

// --- Streams ---

bool Session::open(Call& call, Stream stream) {
  if (std::ranges::find(streams_, call.id, &Stream::id) != streams_.end()) {
    call.fail({ErrorCode::usage, "id", "a stream of this `id` is under way"});
    return false;
  }
  if (streams_.size() >= max_streams) {
    call.fail({ErrorCode::limit, "",
               fmt::format("a connection has at most {} streams at once", max_streams)});
    return false;
  }
  stream.id = call.id;
  streams_.push_back(std::move(stream));
  return true;
}

void Session::cancel(Call& call) {
  const auto id = id_text(call.root.find("stream"));
  if (!id) call.reader.fail(*call.root.find("stream"), "`stream` must be the `id` of a request");
  if (call.is_wrong()) return;
  const auto found = std::ranges::find(streams_, *id, &Stream::id);
  if (found == streams_.end()) {
    return call.fail({ErrorCode::not_found, "stream", "no such stream is under way"});
  }
  answer(found->id, "result", Json::object(), call.out);
  streams_.erase(found);
  call.reply(Json::object());
}

void Session::logs(Call& call) {
  const std::string name = call.name("machine", true);
  const auto lines =
      static_cast<u32>(call.reader.integer(call.root, "lines", 0, max_log_lines, log_lines));
  const bool follows = call.reader.boolean(call.root, "follow", false);
  if (call.is_wrong()) return;
  // Asked for one even if none is wanted, so that the numbers are known.
  auto records = operator_.logs({name, std::nullopt, std::max(lines, 1u)});
  if (!records) return call.fail(records.error());
  Stream stream;
  stream.is_log = true;
  stream.machine = name;
  stream.due = call.now;
  stream.after = records->empty() ? 0 : records->back().number;
  if (follows && !open(call, std::move(stream))) return;
  if (lines == 0) records->clear();
  for (usize at = 0; at < records->size(); at += log_page) {
    Json list = Json::array();
    for (usize i = at; i < std::min(at + log_page, records->size()); ++i) {
      list.push_back(json_of((*records)[i]));
    }
    answer(call.id, "event", {{"records", std::move(list)}}, call.out);
  }
  if (!follows) call.reply(Json::object());
}

bool Session::advance_log(Stream& stream, u64 now, std::string& out) {
  const auto records = operator_.logs({stream.machine, stream.after, log_page});
  if (!records) {
    answer(stream.id, records.error(), out);
    return false;
  }
  stream.due = now + (records->size() < log_page ? log_pause : 0);
  if (records->empty()) return true;
  Json event;
  const u64 first = records->front().number;
  if (first > stream.after + 1) event["lost"] = first - stream.after - 1;
  event["records"] = Json::array();
  for (const LogRecord& each : *records) event["records"].push_back(json_of(each));
  stream.after = records->back().number;
  answer(stream.id, "event", event, out);
  return true;
}

void Session::top(Call& call) {
  Stream stream;
  stream.machine = call.name("machine", false);
  stream.interval = call.reader.time(call.root, "interval", 100 * ms, 1000 * ms);
  stream.count = static_cast<u32>(call.reader.integer(call.root, "count", 0, 1000, 20));
  if (call.is_wrong()) return;
  // The times from which the first event counts.
  if (const auto first = sample(stream, call.now); !first) return call.fail(first.error());
  stream.due = call.now + std::min(stream.interval, first_sample);
  open(call, std::move(stream));
}

bool Session::advance_top(Stream& stream, u64 now, std::string& out) {
  const auto event = sample(stream, now);
  if (!event) {
    answer(stream.id, event.error(), out);
    return false;
  }
  out += *event;
  stream.due = now + stream.interval;
  return true;
}

base::Result<std::string> Session::sample(Stream& stream, u64 now) {
  const auto machines = operator_.machines(stream.machine);
  if (!machines) return machines.error();
  std::vector<ProcessStatus> processes;
  ProcessQuery query{stream.machine, "", 0, page};
  while (stream.count > 0 && processes.size() < max_sampled) {
    auto more = operator_.processes(query);
    if (!more) return more.error();
    const bool is_last = more->size() < query.limit;
    std::ranges::move(*more, std::back_inserter(processes));
    if (is_last) break;
    query.after_machine = processes.back().machine;
    query.after_pid = processes.back().pid;
  }
  const double elapsed = seconds(now - stream.sampled);
  std::unordered_map<std::string, u64> cpu;
  const auto load = [&](std::string key, u64 time) {
    const auto before = stream.cpu.find(key);
    // What is new has used all its time since.
    const u64 used = before == stream.cpu.end() ? time : time - std::min(time, before->second);
    cpu.emplace(std::move(key), time);
    return elapsed > 0 ? seconds(used) / elapsed : 0;
  };
  Json event = {{"interval", elapsed}, {"machines", Json::array()}, {"processes", Json::array()}};
  for (const MachineStatus& each : *machines) {
    Json json = json_of(each);
    json["load"] = load(each.name, each.cpu);
    event["machines"].push_back(std::move(json));
  }
  std::vector<std::pair<double, const ProcessStatus*>> busiest;
  for (const ProcessStatus& each : processes) {
    busiest.emplace_back(load(fmt::format("{} {}", each.machine, each.pid), each.cpu), &each);
  }
  const auto shown = static_cast<i64>(std::min<usize>(stream.count, busiest.size()));
  std::ranges::partial_sort(busiest, busiest.begin() + shown, [](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first > b.first;
    if (a.second->cpu != b.second->cpu) return a.second->cpu > b.second->cpu;
    return a.second < b.second;
  });
  busiest.resize(static_cast<usize>(shown));
  for (const auto& [share, process] : busiest) {
    Json json = json_of(*process);
    json["load"] = share;
    event["processes"].push_back(std::move(json));
  }
  stream.cpu = std::move(cpu);
  stream.sampled = now;
  std::string line;
  answer(stream.id, "event", event, line);
  return line;
}

std::optional<u64> Session::due() const {
  if (streams_.empty()) return std::nullopt;
  return std::ranges::min(streams_, {}, &Stream::due).due;
}

void Session::advance(u64 now, std::string& out) {
  std::erase_if(streams_, [&](Stream& stream) {
    if (stream.due > now) return false;
    return stream.is_log ? !advance_log(stream, now, out) : !advance_top(stream, now, out);
  });
}

}  // namespace atollvm::machine
