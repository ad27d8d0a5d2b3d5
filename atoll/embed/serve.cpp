#include <atoll/serve.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "atoll/embed/impl.hpp"
#include "atoll/embed/operator.hpp"
#include "atoll/embed/scheduled.hpp"
#include "scheduler/machine/server.hpp"
#include "scheduler/machine/spec.hpp"

namespace atollvm::serve {

namespace {

constexpr u32 lines_at_once = 1000;

}  // namespace

struct Machines::Impl {
  explicit Impl(const atollvm::Machines::Options& options) : machines(options) {}

  struct Followed {
    std::string name;
    u64 after = 0;  // number of the last line taken
  };
  atollvm::Machines machines;
  std::vector<Followed> followed;
  std::vector<std::string> complaints;
  std::vector<std::string> to_start;
  std::vector<std::string> to_resume;
  std::unique_ptr<machine::Server> server;  // goes first
};

Machines::Machines(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Machines::~Machines() = default;
Machines::Machines(Machines&& other) noexcept = default;
Machines& Machines::operator=(Machines&& other) noexcept = default;

Result<Machines> Machines::create(const Options& options, const std::optional<MachineFile>& file) {
  machine::MachineFile wanted;
  if (file) {
    auto read = machine::read_machine_file(file->name, file->text, file->folder);
    if (!read) return to_public(std::move(read).error());
    wanted = *std::move(read);
  }
  const auto row = find_policy(options.policy.empty() ? wanted.policy : options.policy);
  if (!row) return to_public(row.error());
  atollvm::Machines::Options inner;
  inner.engine.tier = options.tier;
  inner.engine.hardened = options.hardened;
  inner.engine.code_memory = options.code_memory;
  inner.engine.warm_up = options.warm_up;
  inner.scheduler.policy = *row;
  inner.scheduler.workers = options.workers != 0 ? options.workers : wanted.workers;
  if (inner.scheduler.workers == 0) {
    inner.scheduler.workers = std::clamp(std::thread::hardware_concurrency(), 1u, 256u);
  }
  inner.is_followed = options.is_followed;
  inner.every = static_cast<u64>(options.every.count());
  auto networks = Networks::make(wanted.topology);
  if (!networks) return to_public(std::move(networks).error());
  inner.networks = *std::move(networks);
  std::vector<std::string> kept;
  if (!options.state.empty()) {
    auto folder = StateFolder::open(options.state);
    if (!folder) return to_public(std::move(folder).error());
    inner.state = *std::move(folder);
    auto names = inner.state->machines();
    if (!names) return to_public(std::move(names).error());
    kept = *std::move(names);
    if (!kept.empty() && !options.recovers) {
      return Error{ErrorCode::usage, options.state,
                   "holds machines of a server before this one: recover them, or choose another "
                   "folder"};
    }
  }
  std::unique_ptr<Impl> impl;
  try {
    impl = std::make_unique<Impl>(inner);
  } catch (const std::system_error&) {
    return Error{ErrorCode::io, "", "no threads for the scheduler"};
  }
  std::set<std::string> known;
  for (const std::string& name : kept) {
    const auto spec = std::ranges::find(wanted.machines, name, &machine::MachineSpec::name);
    auto recovered = impl->machines.recover(name, spec != wanted.machines.end() ? &*spec : nullptr);
    known.insert(name);
    if (!recovered) {
      impl->complaints.push_back(
          fmt::format("machine {} is not recovered: {}", name, recovered.error().text()));
      continue;
    }
    for (const std::string& each : recovered->complaints) {
      impl->complaints.push_back(fmt::format(
          "machine {}: {}; {}", name, each,
          recovered->has_snapshot ? "it goes on from the one before" : "it begins anew"));
    }
    impl->followed.push_back({name});
    if (!recovered->runs) continue;
    (recovered->has_snapshot ? impl->to_resume : impl->to_start).push_back(name);
  }
  for (const machine::MachineSpec& each : wanted.machines) {
    if (known.contains(each.name)) continue;
    if (auto made = impl->machines.create(each); !made) {
      return to_public(std::move(made).error());
    }
    impl->followed.push_back({each.name});
    impl->to_start.push_back(each.name);
  }
  return Machines(std::move(impl));
}

Result<std::monostate> Machines::listen(const std::string& socket) {
  machine::ServerOptions options;
  options.path = socket;
  auto server = machine::Server::start(options, impl_->machines);
  if (!server) return to_public(std::move(server).error());
  impl_->server = *std::move(server);
  return std::monostate();
}

Result<std::monostate> Machines::start() {
  const auto each_of = [&](const std::vector<std::string>& names,
                           base::Result<machine::MachineStatus> (machine::Operator::*action)(
                               const std::string&)) -> Result<std::monostate> {
    for (const std::string& name : names) {
      if (auto begun = (impl_->machines.*action)(name); !begun) {
        Error error = to_public(std::move(begun).error());
        if (error.place.empty()) error.place = name;
        return error;
      }
    }
    return std::monostate();
  };
  auto resumed = each_of(impl_->to_resume, &machine::Operator::resume);
  return resumed ? each_of(impl_->to_start, &machine::Operator::start) : resumed;
}

std::vector<std::string> Machines::complaints() const { return impl_->complaints; }

std::vector<Line> Machines::take_lines() {
  std::vector<Line> lines;
  for (Impl::Followed& each : impl_->followed) {
    const auto records = impl_->machines.logs({each.name, each.after, lines_at_once});
    if (!records) continue;
    if (records->size() < lines_at_once) impl_->machines.all_taken(each.name);
    if (records->empty()) continue;
    const u64 lost = records->front().number - each.after - 1;
    if (lost != 0) {
      lines.push_back(
          {each.name, Line::Stream::system, std::to_string(lost) + " lines have been lost"});
    }
    for (const machine::LogRecord& record : *records) {
      lines.push_back({each.name, static_cast<Line::Stream>(record.stream), record.text});
    }
    each.after = records->back().number;
  }
  return lines;
}

bool Machines::have_ended() { return impl_->machines.have_ended(); }

std::optional<Failure> Machines::first_failure() {
  const auto exit = impl_->machines.first_failure();
  if (!exit) return std::nullopt;
  switch (exit->reason) {
    case sched::ExitKind::code:
      return Failure{Failure::Kind::code, exit->code};
    case sched::ExitKind::trap:
      return Failure{Failure::Kind::trap, 0};
    case sched::ExitKind::fuel:
      return Failure{Failure::Kind::fuel, 0};
    case sched::ExitKind::time:
      return Failure{Failure::Kind::time, 0};
    default:
      return Failure{};
  }
}

void Machines::stop() { impl_->machines.stop(); }

}  // namespace atollvm::serve
