// Machines in files: snapshots, and the folder in which a server keeps its machines.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "atoll/embed/objects.hpp"
#include "atoll/embed/operator_entry.hpp"
#include "scheduler/snapshot/file.hpp"
#include "scheduler/snapshot/snapshot.hpp"

namespace atollvm {

using machine::MachineState;
using machine::MachineStatus;
using machine::unlimited;

namespace {

constexpr usize generations = 2;  // of snapshots that are kept

// What no grant of the host is.
std::optional<u64> counted(u64 limit) {
  return limit == unlimited ? std::nullopt : std::optional(limit);
}

snapshot::Bounds bounds_of(const machine::MachineSpec& spec, const MachineRecord& record) {
  snapshot::Bounds bounds;
  bounds.process = limits_of(spec);
  bounds.io = {spec.process.io_bytes, spec.process.io_operations};
  bounds.io_rate = {spec.process.io_bytes_rate, spec.process.io_operations_rate};
  bounds.cpu_limit = spec.process.cpu_time;
  bounds.mailbox_messages = fit(spec.process.mailbox_messages);
  bounds.mailbox_bytes = spec.process.mailbox_bytes;
  bounds.memory_bytes = spec.limits.memory;
  bounds.handles = spec.limits.handles;
  if (const auto fuel = counted(spec.limits.fuel)) {
    bounds.fuel = *fuel - std::min(*fuel, record.fuel_left);
  }
  return bounds;
}

std::string losses(const snapshot::Summary& summary) {
  std::string text;
  if (summary.lost_handles != 0) {
    text += fmt::format("; {} handles name nothing any more", summary.lost_handles);
  }
  if (summary.lost_file_systems != 0) {
    text += fmt::format("; {} file systems in memory have no mount", summary.lost_file_systems);
  }
  if (summary.canceled_calls != 0) {
    text += fmt::format("; {} calls were called off", summary.canceled_calls);
  }
  return text;
}

}  // namespace

MachineRecord Machines::record_of(const Entry& entry) const {
  MachineRecord record;
  record.spec = entry.spec;
  record.state = entry.state;
  record.written = real_time();
  record.is_foreign = entry.is_foreign;
  record.is_image = entry.image.has_value();
  record.life = entry.ends;
  record.cpu = entry.machine->cpu_time();
  if (entry.spec.limits.fuel != unlimited) {
    record.fuel_left = std::min(entry.fuel_left + entry.fuel_back.load(), entry.spec.limits.fuel);
  }
  record.restarts = entry.restart_count;
  record.restart_ages = entry.restarts.ages(loop::monotonic_ns());
  record.created = entry.created;
  record.started = entry.started;
  record.log_records = entry.output->log.newest();
  record.exit = entry.exit;
  return record;
}

// --- Snapshots ----------------------------------------------------------------------------

base::Result<machine::SnapshotInfo> Machines::snapshot(const std::string& name,
                                                       const std::string& file) {
  std::shared_ptr<Entry> entry;
  {
    const std::lock_guard guard(mutex_);
    const auto found = find(name);
    if (!found) return found.error();
    entry = *found;
  }
  auto taken = take(entry, file, false);
  if (taken) entry->say("snapshot written");
  return taken;
}

base::Result<machine::SnapshotInfo> Machines::take(const std::shared_ptr<Entry>& entry,
                                                   const std::string& file, bool stays_paused) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !entry->is_held; });
  const std::string& name = entry->spec.name;
  if (!entry->is_up() || entry->is_ending || entry->is_destroyed) {
    return base::Error{base::ErrorCode::usage, name,
                       "only a running or paused machine can be written"};
  }
  entry->is_held = true;
  if (entry->state == MachineState::running) scheduler_->pause(*entry->machine);
  MachineRecord record = record_of(*entry);
  lock.unlock();

  snapshot::Summary summary;
  const auto write = [&]() -> base::Result<std::unique_ptr<snapshot::FileWriter>> {
    auto writer = snapshot::FileWriter::create(file, to_text(record));
    if (!writer) return writer;
    GrantedObjects objects(entry->grants);
    auto written = snapshot::write(*scheduler_, *entry->machine, objects, **writer);
    if (!written) return std::move(written).error();
    summary = *written;
    if (base::Status sealed = (*writer)->seal(); !sealed) return std::move(sealed).error();
    return writer;
  };
  auto writer = write();

  lock.lock();
  entry->is_held = false;
  // Who has ended it meanwhile, or paused it, goes on from there.
  if (entry->state == MachineState::running && !entry->is_ending && !stays_paused) {
    scheduler_->resume(*entry->machine);
  }
  changed_.notify_all();
  lock.unlock();

  if (!writer) return std::move(writer).error();
  if (summary.main == 0) {
    return base::Error{base::ErrorCode::usage, name, "its root process has just ended"};
  }
  const auto bytes = (*writer)->finish();
  if (!bytes) return bytes.error();
  return machine::SnapshotInfo{*bytes, summary.processes};
}

base::Result<MachineStatus> Machines::restore(const machine::RestoreRequest& request) {
  auto reader = snapshot::FileReader::open(request.file);
  if (!reader) return std::move(reader).error();
  const auto record = read_record(request.file, (*reader)->header());
  if (!record) return record.error();
  machine::MachineSpec spec = request.spec ? *request.spec : record->spec;
  if (!request.spec && !request.grants) cut_to_defaults(spec);
  if (!request.name.empty()) spec.name = request.name;
  {
    const std::lock_guard guard(mutex_);
    if (entries_.contains(spec.name)) {
      return base::Error{base::ErrorCode::usage, spec.name, "there is a machine of this name"};
    }
  }
  const bool is_foreign = !request.spec && (!request.grants || record->is_foreign);
  auto entry = bring_back(*record, spec, is_foreign, **reader);
  if (!entry) {
    if (entry.error().code == base::ErrorCode::limit && !request.spec && !request.grants) {
      base::Error error = std::move(entry).error();
      error.message += "; a machine file, or `--grant`, can grant more than the defaults";
      return error;
    }
    return std::move(entry).error();
  }
  base::Status added;
  {
    const std::lock_guard guard(mutex_);
    added = add(*entry);
  }
  if (!added) {
    scheduler_->remove_machine(*(*entry)->machine);
    return std::move(added).error();
  }
  auto status = recorded(*entry);
  if (status) keep_snapshot(*entry, false);
  return status;
}

// A paused machine that is none of the machines yet.
base::Result<std::shared_ptr<Machines::Entry>> Machines::bring_back(
    const MachineRecord& record, const machine::MachineSpec& spec, bool is_foreign,
    snapshot::FileReader& reader) {
  auto entry = std::make_shared<Entry>(spec);
  entry->is_foreign = is_foreign;
  const bool needs_image = record.is_image && spec.module == record.spec.module;
  if (base::Status opened = open_image(*entry, needs_image); !opened) {
    return std::move(opened).error();
  }
  equip(*entry, [&] { return HostCalls{all_host_calls(entry->environment), false}; });
  if (base::Status opened = open_log(*entry); !opened) return std::move(opened).error();
  if (base::Status joined = join(*entry); !joined) return std::move(joined).error();
  if (base::Status granted = grant(*entry); !granted) return std::move(granted).error();
  entry->machine = &make_machine(*entry);
  const auto read = [&]() -> base::Result<snapshot::Summary> {
    scheduler_->pause(*entry->machine);
    GrantedObjects objects(entry->grants);
    auto summary = snapshot::read(*scheduler_, *entry->machine, objects,
                                  bounds_of(entry->plan, record), reader);
    if (!summary) return summary;
    if (base::Status end = reader.end(); !end) return std::move(end).error();
    const auto root = scheduler_->find(*entry->machine, summary->main);
    if (!root) {
      return base::Error{base::ErrorCode::invalid, "", "the snapshot has no root process"};
    }
    entry->program = root->instance().linked->program;
    return summary;
  };
  auto summary = read();
  if (!summary) {
    scheduler_->remove_machine(*entry->machine);
    return std::move(summary).error();
  }
  entry->calls.uses_wasi = uses_wasi(*entry->program);
  entry->stages = find_stages(*entry->program, std::nullopt);
  entry->root = summary->main;
  entry->state = MachineState::paused;
  entry->fuel_left = std::min(record.fuel_left, spec.limits.fuel);
  entry->restart_count = record.restarts;
  entry->restarts.go_on(record.restart_ages, loop::monotonic_ns());
  entry->created = record.created;
  entry->started = record.started;
  entry->exit = record.exit;
  entry->ends = record.life;
  entry->output->log.go_on(record.log_records);
  entry->say(fmt::format("restored, with {} process{}{}", summary->processes,
                         summary->processes == 1 ? "" : "es", losses(*summary)));
  return entry;
}

// --- The state folder ---------------------------------------------------------------------

void Machines::mark(Entry& entry) {
  entry.needs_record = true;
  if (state_ == nullptr) return;
  {
    const std::lock_guard guard(news_mutex_);
    has_marks_ = true;
  }
  news_.notify_all();
}

base::Status Machines::keep_record(Entry& entry) {
  if (state_ == nullptr) return {};
  const std::lock_guard keep(entry.keep_mutex);
  if (!entry.is_kept) return {};
  std::string text;
  {
    const std::lock_guard guard(mutex_);
    if (!entry.needs_record) return {};
    {
      const std::lock_guard news(news_mutex_);
      // Ends that the server's own end brings are nothing to remember.
      if (keeps_last_) return {};
    }
    entry.needs_record = false;
    text = to_text(record_of(entry));
  }
  base::Status written = state_->write(entry.spec.name, text);
  if (!written) entry.say("its record can't be written: " + written.error().text());
  return written;
}

base::Result<MachineStatus> Machines::recorded(const std::shared_ptr<Entry>& entry) {
  if (state_ != nullptr) {
    {
      const std::lock_guard keep(entry->keep_mutex);
      const std::lock_guard guard(mutex_);
      entry->is_kept = entry->needs_record = true;
    }
    if (base::Status written = keep_record(*entry); !written) {
      {
        const std::lock_guard keep(entry->keep_mutex);
        entry->is_kept = false;
      }
      static_cast<void>(destroy(entry->spec.name));
      return std::move(written).error();
    }
  }
  const std::lock_guard guard(mutex_);
  return status(*entry);
}

MachineStatus Machines::settled(std::unique_lock<std::mutex>& lock,
                                const std::shared_ptr<Entry>& entry) {
  MachineStatus result = status(*entry);
  lock.unlock();
  // What goes wrong is in its log; what was asked for has been done.
  static_cast<void>(keep_record(*entry));
  return result;
}

base::Status Machines::forget(Entry& entry) {
  if (state_ == nullptr) return {};
  const std::lock_guard keep(entry.keep_mutex);
  if (!entry.is_kept) return {};
  base::Status removed = state_->remove(entry.spec.name);
  if (removed) entry.is_kept = false;
  return removed;
}

void Machines::keep_snapshot(const std::shared_ptr<Entry>& entry, bool stays_paused) {
  const std::lock_guard keep(entry->keep_mutex);
  if (!entry->is_kept) return;
  const std::string& name = entry->spec.name;
  const auto taken = take(entry, state_->next_snapshot(name), stays_paused);
  if (taken) {
    entry->complaint.clear();
    state_->prune(name, generations);
  } else if (taken.error().code != base::ErrorCode::usage &&
             entry->complaint != taken.error().text()) {
    entry->complaint = taken.error().text();
    entry->say("no snapshot could be written: " + entry->complaint);
  }
}

// The thread that writes records and snapshots.
void Machines::keep_all() {
  u64 due = every_ == 0 ? sched::Task::never : loop::monotonic_ns() + every_;
  while (true) {
    {
      std::unique_lock lock(news_mutex_);
      const auto has_work = [&] { return has_marks_ || is_over_ || keeps_last_; };
      const u64 now = loop::monotonic_ns();
      if (due == sched::Task::never) {
        news_.wait(lock, has_work);
      } else if (now < due) {
        news_.wait_for(lock, std::chrono::nanoseconds(due - now), has_work);
      }
      if (is_over_ || keeps_last_) return;
      has_marks_ = false;
    }
    const bool is_due = loop::monotonic_ns() >= due;
    std::vector<std::shared_ptr<Entry>> entries;
    {
      const std::lock_guard guard(mutex_);
      for (const auto& [name, entry] : entries_) {
        if (entry->needs_record || (is_due && entry->is_up())) entries.push_back(entry);
      }
    }
    for (const auto& entry : entries) {
      static_cast<void>(keep_record(*entry));
      const std::lock_guard news(news_mutex_);
      if (is_over_ || keeps_last_) return;
    }
    if (!is_due) continue;
    for (const auto& entry : entries) {
      {
        const std::lock_guard news(news_mutex_);
        if (is_over_ || keeps_last_) return;
      }
      keep_snapshot(entry, false);
    }
    due = loop::monotonic_ns() + every_;
  }
}

// Before the server's end: its machines are written as they are, and don't go on.
void Machines::keep_last() {
  if (state_ == nullptr) return;
  {
    const std::lock_guard guard(news_mutex_);
    if (keeps_last_) return;
  }
  std::vector<std::shared_ptr<Entry>> entries;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [name, entry] : entries_) entries.push_back(entry);
  }
  for (const auto& entry : entries) static_cast<void>(keep_record(*entry));
  {
    const std::lock_guard guard(news_mutex_);
    keeps_last_ = true;
  }
  news_.notify_all();
  for (const auto& entry : entries) keep_snapshot(entry, true);
}

base::Result<Machines::Recovered> Machines::recover(const std::string& name,
                                                    const machine::MachineSpec* spec) {
  const auto text = state_->read(name);
  if (!text) return text.error();
  const auto record = read_record(name, *text);
  if (!record) return record.error();
  if (record->spec.name != name) {
    return base::Error{base::ErrorCode::invalid, name, "its record is of another machine"};
  }
  const machine::MachineSpec& wanted = spec != nullptr ? *spec : record->spec;
  Recovered recovered;
  recovered.runs =
      record->state == MachineState::running || record->state == MachineState::restarting;
  std::shared_ptr<Entry> entry;
  if (recovered.runs || record->state == MachineState::paused) {
    for (const std::string& path : state_->snapshots(name)) {
      auto reader = snapshot::FileReader::open(path);
      // One of an earlier life is of no use: the machine was started anew since.
      const auto own = reader ? read_record(path, (*reader)->header()) : reader.error();
      if (own && own->life != record->life) continue;
      auto restored =
          own ? bring_back(*own, wanted, record->is_foreign && spec == nullptr, **reader)
              : own.error();
      if (restored) {
        entry = *std::move(restored);
        break;
      }
      base::Error error = std::move(restored).error();
      if (error.place != path) error = {error.code, path, error.text()};
      // What is wrong with the host may be right again another time: nothing is given up for it.
      if (error.code != base::ErrorCode::malformed) return error;
      recovered.complaints.push_back(error.text());
      static_cast<void>(unlink(path.c_str()));
    }
  }
  if (entry == nullptr && record->is_foreign && spec == nullptr) {
    return base::Error{base::ErrorCode::not_found, name,
                       "there is no good snapshot, and its module is only there"};
  }
  if (entry == nullptr) {
    // With what it had used up: the record's life goes on counting.
    if (auto created = create(wanted); !created) return std::move(created).error();
    const std::lock_guard guard(mutex_);
    Entry& made = *entries_.at(name);
    made.machine->charge(record->cpu);
    made.fuel_left = std::min(record->fuel_left, wanted.limits.fuel);
    made.restart_count = record->restarts;
    made.created = record->created;
    made.started = record->started;
    made.exit = record->exit;
    made.ends = record->life + 1;
    made.output->log.go_on(record->log_records);
    if (record->state == MachineState::ended || record->state == MachineState::failed) {
      made.state = record->state;
    }
    mark(made);
    return recovered;
  }
  {
    const std::lock_guard guard(mutex_);
    if (base::Status added = add(entry); !added) return std::move(added).error();
  }
  recovered.has_snapshot = true;
  const auto kept = recorded(entry);
  if (!kept) return kept.error();
  return recovered;
}

}  // namespace atollvm
