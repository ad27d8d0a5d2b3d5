// Machines that run images.
#include <fmt/format.h>

#include <algorithm>

#include "atoll/embed/operator_entry.hpp"
#include "atoll/embed/sources.hpp"

namespace atollvm {
namespace {

base::Error internal_error(Error error) {
  return {static_cast<base::ErrorCode>(error.code), std::move(error.place),
          std::move(error.message)};
}

// The options by which an image is applied, of what a description says.
ProcessOptions options_of(const machine::MachineSpec& spec) {
  ProcessOptions options;
  options.arguments = {spec.module};
  options.arguments.insert(options.arguments.end(), spec.arguments.begin(), spec.arguments.end());
  options.environment = spec.environment;
  options.limits.memory_bytes = spec.process.memory;
  options.limits.stack_bytes = spec.process.stack;
  options.limits.handles = fit(spec.process.handles);
  if (spec.process.fuel != machine::unlimited) options.limits.fuel = spec.process.fuel;
  return options;
}

// The other way, when the image has been applied.
void take_over(const ProcessOptions& options, machine::MachineSpec& spec) {
  spec.arguments.assign(options.arguments.begin() + 1, options.arguments.end());
  spec.environment = options.environment;
  spec.process.memory = options.limits.memory_bytes;
  spec.process.stack = options.limits.stack_bytes;
  spec.process.handles = options.limits.handles;
  spec.process.fuel = options.limits.fuel.value_or(machine::unlimited);
  std::vector<machine::Mount> mounts;
  for (const Mount& each : options.mounts) {
    machine::Mount mount;
    mount.type = each.type;
    mount.source = each.source;
    mount.guest = each.guest;
    mount.writable = each.writable;
    mount.bytes = each.bytes;
    mounts.push_back(std::move(mount));
  }
  spec.mounts.insert(spec.mounts.begin(), mounts.begin(), mounts.end());
}

bool is_granted(const machine::MachineSpec& spec, const ImageMount& mount) {
  return mount.type == "memory" ||
         std::ranges::find(spec.grants, mount.guest, &machine::ImageGrant::guest) !=
             spec.grants.end();
}

std::string named(const ImageMount& mount) {
  return mount.guest + (mount.about.empty() ? "" : ", " + mount.about);
}

}  // namespace

base::Status Machines::open_image(Entry& entry, bool needs_one) {
  const machine::MachineSpec& spec = entry.spec;
  // Its module is what its snapshot holds; the path may name anything of the host.
  if (entry.is_foreign) return {};
  needs_one = needs_one || !spec.grants.empty() || !spec.verify.empty();
  if (!needs_one && !Image::is_image(spec.module)) return {};
  std::string key;
  if (!spec.verify.empty()) {
    auto text = read_file(spec.verify);
    if (!text) return internal_error(text.error());
    // An empty text would mean that nothing is to be checked.
    key = text->empty() ? "\n" : *std::move(text);
  }
  auto image = Image::open(spec.module, key);
  if (!image) {
    Error error = image.error();
    if (error.code == ErrorCode::usage) error.place = spec.verify;
    return internal_error(std::move(error));
  }
  std::vector<ImageGrant> grants;
  for (const machine::ImageGrant& each : spec.grants) {
    grants.push_back({each.guest, each.source, each.writable});
  }
  for (const ImageMount& each : image->manifest().mounts) {
    if (!each.is_required || is_granted(spec, each)) continue;
    return base::Error{base::ErrorCode::denied, spec.module,
                       fmt::format("it needs {}, and the machine's `grants` have none: {{ guest = "
                                   "\"{}\", source = PATH }}",
                                   named(each), each.guest)};
  }
  ProcessOptions options = options_of(spec);
  if (auto error = image->apply(grants, options)) {
    return base::Error{static_cast<base::ErrorCode>(error->code), spec.module, error->text()};
  }
  take_over(options, entry.plan);
  entry.image = *std::move(image);
  return {};
}

void Machines::say_ungranted(const Entry& entry) {
  if (!entry.image) return;
  for (const ImageMount& each : entry.image->manifest().mounts) {
    if (!is_granted(entry.spec, each)) {
      entry.say("the image asks for " + named(each) + ": it was not granted");
    }
  }
}

base::Result<Module> Machines::module_of(const Engine& engine, const Entry& entry) {
  const std::string& path = entry.spec.module;
  if (!entry.image) {
    auto module = Module::open(engine, path);
    if (!module) return internal_error(module.error());
    return *std::move(module);
  }
  const auto bytes = entry.image->module_bytes();
  if (!bytes) return internal_error(bytes.error());
  auto module = Module::load(engine, *bytes);
  if (module) return *std::move(module);
  Error error = module.error();
  error.place = path + ": module" + (error.place.empty() ? "" : ": " + error.place);
  return internal_error(std::move(error));
}

}  // namespace atollvm
