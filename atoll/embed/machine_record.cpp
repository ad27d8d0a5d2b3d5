#include "atoll/embed/machine_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "stdlib/vfs/memory.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm {

using machine::MachineState;
using machine::Node;
using machine::Reader;

namespace {

using Json = nlohmann::ordered_json;

constexpr usize max_text = 8 << 20;
constexpr u64 max_number = u64{1} << 62;
constexpr usize max_ages = 1000;
constexpr usize max_free_mounts = 16;  // in memory, of who was granted nothing
constexpr std::string_view states[] = {"created",    "running", "paused",
                                       "restarting", "ended",   "failed"};

Json json_of(const machine::Exit& exit) {
  return {{"reason", static_cast<u32>(exit.reason)},
          {"code", exit.code},
          {"message", base::printable(exit.message, 1000)}};
}

u64 number(Reader& reader, const Node& node, std::string_view key, u64 otherwise = 0) {
  return reader.integer(node, key, 0, max_number, otherwise);
}

std::string message_in(const Node& exit) {
  const Node* const message = exit.find("message");
  return message != nullptr && message->text() != nullptr ? *message->text() : "";
}

}  // namespace

std::string to_text(const MachineRecord& record) {
  Json json = {{"atoll", ATOLL_VERSION},
               {"written", record.written},
               {"state", states[static_cast<u8>(record.state)]},
               {"life", record.life},
               {"cpu", record.cpu},
               {"restarts", record.restarts},
               {"restart_ages", Json::array()},
               {"created", record.created},
               {"log_records", record.log_records}};
  const usize first = record.restart_ages.size() - std::min(record.restart_ages.size(), max_ages);
  for (usize i = first; i < record.restart_ages.size(); ++i) {
    json["restart_ages"].push_back(std::min(record.restart_ages[i], max_number));
  }
  if (record.is_foreign) json["foreign"] = true;
  if (record.is_image) json["image"] = true;
  if (record.fuel_left != machine::unlimited) json["fuel_left"] = record.fuel_left;
  if (record.started) json["started"] = *record.started;
  if (record.exit) json["exit"] = json_of(*record.exit);
  json["machine"] = to_json(record.spec);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

base::Result<MachineRecord> read_record(const std::string& place, std::string_view text) {
  const auto in_place = [&](base::Error error) {
    error.message = fmt::format("its description is wrong: {}", error.text());
    error.place = base::printable(place, 200);
    return error;
  };
  const auto document = machine::Document::json(text, max_text);
  if (!document) return in_place(document.error());
  const Node& root = document->root();
  Reader reader(*document);
  reader.known(root, "the description",
               {"atoll", "written", "state", "life", "cpu", "restarts", "restart_ages", "created",
                "log_records", "fuel_left", "started", "exit", "foreign", "image", "machine"});
  MachineRecord record;
  record.written = number(reader, root, "written");
  record.state = static_cast<MachineState>(reader.word(root, "state", states, 0));
  record.is_foreign = reader.boolean(root, "foreign", false);
  record.is_image = reader.boolean(root, "image", false);
  record.life = number(reader, root, "life");
  record.cpu = number(reader, root, "cpu");
  record.fuel_left = number(reader, root, "fuel_left", machine::unlimited);
  record.restarts = number(reader, root, "restarts");
  record.created = number(reader, root, "created");
  record.log_records = number(reader, root, "log_records");
  if (root.find("started") != nullptr) record.started = number(reader, root, "started");
  if (const Node* const ages = root.find("restart_ages")) {
    if (ages->list() == nullptr || ages->list()->size() > max_ages) {
      reader.fail(*ages, fmt::format("`restart_ages` must be a list of at most {}", max_ages));
    } else {
      for (const Node& each : *ages->list()) {
        const i64* const age = std::get_if<i64>(&each.value);
        if (age == nullptr || *age < 0) {
          reader.fail(each, "an age must be nanoseconds");
          break;
        }
        record.restart_ages.push_back(static_cast<u64>(*age));
      }
    }
  }
  if (const Node* const exit = root.find("exit")) {
    reader.known(*exit, "`exit`", {"reason", "code", "message"});
    record.exit = machine::Exit{
        static_cast<sched::ExitKind>(
            reader.integer(*exit, "reason", 0, static_cast<u64>(sched::ExitKind::stopped), 0)),
        static_cast<u32>(reader.integer(*exit, "code", 0, UINT32_MAX, 0)), message_in(*exit)};
  }
  const Node* const spec = root.find("machine");
  if (spec == nullptr) {
    reader.fail(root, "there is no `machine`");
  } else {
    record.spec = read_machine(reader, *spec, "");
  }
  if (!reader.ok()) return in_place(*reader.error());
  return record;
}

void cut_to_defaults(machine::MachineSpec& spec) {
  const machine::MachineSpec plain;
  spec.directories.clear();
  spec.grants.clear();
  spec.verify.clear();
  spec.network.clear();
  spec.listeners.clear();
  spec.nics.clear();
  spec.routes.clear();
  // What is in memory is nothing of the host's but memory.
  std::erase_if(spec.mounts, [](const machine::Mount& each) { return each.type != "memory"; });
  if (spec.mounts.size() > max_free_mounts) spec.mounts.resize(max_free_mounts);
  for (machine::Mount& each : spec.mounts) {
    const u64 most = vfs::MemoryLimits().bytes;
    each.bytes = std::min(each.bytes.value_or(most), most);
  }
  for (std::string* const path : {&spec.input, &spec.output, &spec.error, &spec.log}) path->clear();
  spec.weight = std::min(spec.weight, plain.weight);
  const auto cut = [](u64& limit, u64 most) { limit = std::min(limit, most); };
  cut(spec.limits.memory, plain.limits.memory);
  cut(spec.limits.processes, plain.limits.processes);
  cut(spec.limits.handles, plain.limits.handles);
  cut(spec.process.memory, plain.process.memory);
  cut(spec.process.stack, plain.process.stack);
  cut(spec.process.table_elements, plain.process.table_elements);
  cut(spec.process.handles, plain.process.handles);
  cut(spec.process.mailbox_messages, plain.process.mailbox_messages);
  cut(spec.process.mailbox_bytes, plain.process.mailbox_bytes);
}

}  // namespace atollvm
