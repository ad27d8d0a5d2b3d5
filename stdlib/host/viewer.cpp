// What a process sees of itself and of its machine in a file system of processes (see
// docs/file-systems.md for the texts), and its own handles where a file system names them.
#include <fmt/format.h>

#include <array>
#include <iterator>

#include "scheduler/core/scheduler.hpp"
#include "stdlib/host/support.hpp"

namespace atollvm::host {
namespace {

using runtime::Process;
using sched::Task;

// Lines that a text of a list has at most, and places of the machine's table that are looked at: a
// call must not take long.
constexpr usize max_lines = 4096;
constexpr u32 max_places = 1 << 16;
constexpr std::string_view cut_off = "incomplete\n";

// Null: no scheduler runs the process.
Task* task_of(Process& process) {
  return process.worker()->core == nullptr ? nullptr : &static_cast<Task&>(process);
}

class Lines {
 public:
  template <class Value>
  void line(std::string_view name, const Value& value) {
    fmt::format_to(std::back_inserter(text_), "{} {}\n", name, value);
  }
  void limit(std::string_view name, u64 value, u64 none = cap::Meter::unlimited) {
    value == none ? line(name, "unlimited") : line(name, value);
  }
  void raw(std::string_view text) { text_ += text; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string status_of_self(Process& process) {
  Lines lines;
  Task* const task = task_of(process);
  if (task != nullptr) {
    lines.line("pid", task->pid);
    lines.line("parent", task->parent);
  }
  lines.line("state", "running");  // it reads this
  if (task != nullptr) {
    const sched::Table::Held own = task->machine->table().hold(*task, task->pid);
    lines.line("priority", u32{task->Node::priority});
    lines.line("weight", task->policy::Entry::weight);
    lines.line("links", task->relations == nullptr ? 0 : task->relations->links.size());
    lines.line("messages", task->mailbox.messages());
    lines.line("mailbox_bytes", task->mailbox.bytes());
    lines.line("cpu_ns", task->cpu);
  }
  const std::optional<u64> fuel = process.limits().fuel;
  lines.limit("fuel", fuel.value_or(cap::Meter::unlimited));
  const Process::Usage usage = process.usage();
  lines.line("memory_bytes", usage.memory_bytes);
  lines.line("stack_bytes", usage.stack_bytes);
  lines.line("table_elements", usage.table_elements);
  lines.line("handles", process.open_handles());
  lines.line("io_bytes", process.io_used().bytes);
  lines.line("io_operations", process.io_used().operations);
  return lines.take();
}

std::string limits_of_self(Process& process) {
  Lines lines;
  const runtime::Limits limits = process.limits();
  lines.line("memory_bytes", limits.memory_bytes);
  lines.line("stack_bytes", limits.stack_bytes);
  lines.line("table_elements", limits.table_elements);
  lines.line("handles", limits.handles);
  lines.limit("io_bytes", process.io_limit().bytes);
  lines.limit("io_operations", process.io_limit().operations);
  lines.limit("io_bytes_rate", process.io_rate().bytes);
  lines.limit("io_operations_rate", process.io_rate().operations);
  if (Task* const task = task_of(process)) {
    lines.limit("cpu_ns", task->terms->cpu_limit, Task::never);
    lines.line("messages", task->terms->mailbox.messages);
    lines.line("mailbox_bytes", task->terms->mailbox.bytes);
  }
  return lines.take();
}

// A path in a line: what could be taken for the end of one, and other bytes that are not shown, as
// three octal digits behind a backslash.
std::string escaped(std::string_view path) {
  std::string text;
  for (const char each : path) {
    const auto byte = static_cast<u8>(each);
    if (byte < 0x20 || byte == 0x7f || each == '\\') {
      fmt::format_to(std::back_inserter(text), "\\{:03o}", byte);
    } else {
      text += each;
    }
  }
  return text;
}

// In the words of the options of mounts.
std::string access_of(cap::Rights rights) {
  const bool writes = (rights & (cap::right_write | cap::right_append)) != 0;
  std::string text = writes ? "rw" : "ro";
  if (writes && (rights & cap::right_write) == 0) {
    text += ",append";
  } else if (writes && (rights & cap::right_remove) == 0) {
    text += ",nodelete";
  }
  if ((rights & cap::right_load) == 0) text += ",nomodules";
  return text;
}

std::string mounts_of_self(Process& process) {
  Lines lines;
  const auto mount = [&](std::string_view type, cap::Rights rights, std::string_view path) {
    lines.raw(fmt::format("{} {} {}\n", type, access_of(rights), escaped(path)));
  };
  usize left = max_lines;
  for (const cap::Capability& each : process.handles().slots()) {
    if (each.object == nullptr || each.is_revoked()) continue;
    if (each.object->kind() == Kind::name_space) {
      for (const auto& shown : static_cast<const vfs::NameSpace&>(*each.object).mounts()) {
        if (left == 0) break;
        --left;
        mount(shown.directory->type_name(), shown.rights & each.rights, shown.guest);
      }
    } else if (each.object->kind() == Kind::directory && each.facet != nullptr &&
               !each.facet->mount().empty() && left != 0) {
      --left;
      mount(static_cast<const vfs::Directory&>(*each.object).type_name(), each.rights,
            each.facet->mount());
    }
  }
  if (left == 0) lines.raw(cut_off);
  return lines.take();
}

std::string children_of_self(Process& process) {
  Lines lines;
  Task* const task = task_of(process);
  if (task == nullptr) return {};
  usize left = max_lines;
  const bool all = task->machine->table().for_each_of(max_places, [&](const Task& each) {
    if (each.parent != task->pid || left == 0) return;
    --left;
    lines.raw(fmt::format("{}\n", each.pid));
  });
  if (!all || left == 0) lines.raw(cut_off);
  return lines.take();
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::stream:
      return "stream";
    case Kind::file:
      return "file";
    case Kind::directory:
      return "directory";
    case Kind::name_space:
      return "name_space";
    case Kind::host:
      return "host";
    case Kind::module:
      return "module";
    case Kind::revoker:
      return "revoker";
    case Kind::network:
      return "network";
    case Kind::listener:
      return "listener";
    case Kind::datagrams:
      return "datagrams";
  }
  return "lost";
}

std::string handles_of_self(Process& process) {
  Lines lines;
  const auto slots = process.handles().slots();
  usize left = max_lines;
  for (usize number = 0; number < slots.size(); ++number) {
    const cap::Capability& each = slots[number];
    if (each.object == nullptr) continue;
    if (left-- == 0) {
      lines.raw(cut_off);
      break;
    }
    std::string rights;
#define RIGHT(name, bit, text) \
  if ((each.rights & cap::right_##name) != 0) rights += rights.empty() ? #name : "," #name;
#include "vm/cap/rights.def"
#undef RIGHT
    lines.raw(fmt::format("{} {} {}{}\n", number, name_of(each.object->kind()),
                          rights.empty() ? "-" : rights, each.is_revoked() ? " revoked" : ""));
  }
  return lines.take();
}

std::string status_of_machine(Process& process) {
  Lines lines;
  Task* const task = task_of(process);
  if (task == nullptr) return {};
  const sched::Machine& machine = *task->machine;
  lines.line("processes", machine.processes());
  lines.line("cpu_ns", machine.cpu_time());
  lines.line("memory_bytes", machine.account().memory.used());
  lines.line("handles", machine.account().handles.used());
  lines.line("io_bytes", machine.account().io_bytes.used());
  lines.line("io_operations", machine.account().io_operations.used());
  return lines.take();
}

std::string limits_of_machine(Process& process) {
  Lines lines;
  Task* const task = task_of(process);
  if (task == nullptr) return {};
  const sched::Machine& machine = *task->machine;
  lines.line("processes", machine.options().max_processes);
  lines.limit("cpu_ns", machine.options().cpu_limit, Task::never);
  lines.limit("memory_bytes", machine.account().memory.limit());
  lines.limit("handles", machine.account().handles.limit());
  lines.limit("io_bytes", machine.account().io_bytes.limit());
  lines.limit("io_operations", machine.account().io_operations.limit());
  lines.limit("io_bytes_rate", machine.account().io_bytes_rate.limit());
  lines.limit("io_operations_rate", machine.account().io_operations_rate.limit());
  return lines.take();
}

struct Text {
  std::string_view folder;
  std::string_view file;
  std::string (*make)(Process&);
};
constexpr Text texts[] = {
    {"self", "status", status_of_self},       {"self", "limits", limits_of_self},
    {"self", "mounts", mounts_of_self},       {"self", "children", children_of_self},
    {"self", "handles", handles_of_self},     {"machine", "status", status_of_machine},
    {"machine", "limits", limits_of_machine},
};

std::string describe(Process& process, std::string_view folder, std::string_view file) {
  for (const Text& each : texts) {
    if (each.folder == folder && each.file == file) return each.make(process);
  }
  return {};
}

}  // namespace

std::shared_ptr<vfs::Directory> as_seen(const HostContext& context,
                                        std::shared_ptr<vfs::Directory> directory) {
  auto own = directory->seen_by({context.process(), describe});
  return own == nullptr ? std::move(directory) : std::move(own);
}

vfs::Outcome<cap::Capability*> own_handle(const HostContext& context, const cap::Object& opened) {
  const u32 number = static_cast<const vfs::OwnHandle&>(opened).number();
  const auto found = context.handles().find(number, vfs::OwnHandle::kinds, cap::rights_none);
  if (std::holds_alternative<Errno>(found)) return Errno::noent;
  return std::get<cap::Capability*>(found);
}

}  // namespace atollvm::host
