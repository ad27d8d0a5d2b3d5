#include "stdlib/vfs/dev.hpp"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <algorithm>

#include "stdlib/vfs/fixed.hpp"
#include "stdlib/vfs/posix.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::vfs {
namespace {

enum class DeviceNumber : u32 { root, null, zero, full, random, urandom, input, output, error };

constexpr FixedNode device_nodes[] = {
    {"", FileType::directory},       {"null", FileType::character},
    {"zero", FileType::character},   {"full", FileType::character},
    {"random", FileType::character}, {"urandom", FileType::character},
    {"stdin", FileType::character},  {"stdout", FileType::character},
    {"stderr", FileType::character},
};

// Random numbers that one read gives, so that it does not hold the thread long.
constexpr usize max_random = 64 << 10;

// The process's handle that a device is, by its number.
std::optional<u32> own_number(u32 node) {
  if (node < static_cast<u32>(DeviceNumber::input)) return std::nullopt;
  return node - static_cast<u32>(DeviceNumber::input);
}

Outcome<u32> random_bytes(std::span<u8> bytes) {
  usize done = 0;
  while (done < bytes.size()) {
    const ssize_t size = getrandom(bytes.data() + done, bytes.size() - done, 0);
    if (size < 0 && errno != EINTR) return from_errno(errno);
    if (size > 0) done += static_cast<usize>(size);
  }
  return static_cast<u32>(done);
}

class DeviceFile final : public FixedFile {
 public:
  DeviceFile(DeviceNumber device, const Stat& stat, Access access)
      : FixedFile(stat, access), device_(device) {}

  Outcome<u32> read(std::span<u8> bytes, std::optional<u64>, Wait) override {
    if (!access().read) return Errno::badf;
    if (device_ == DeviceNumber::null) return 0u;
    if (device_ == DeviceNumber::random || device_ == DeviceNumber::urandom) {
      return random_bytes(bytes.first(std::min(bytes.size(), max_random)));
    }
    if (!bytes.empty()) memset(bytes.data(), 0, bytes.size());
    return static_cast<u32>(bytes.size());
  }
  Outcome<u32> write(std::span<const u8> bytes, std::optional<u64>, WriteMode, Wait) override {
    if (!access().write) return Errno::badf;
    if (device_ == DeviceNumber::full) return Errno::nospc;
    return static_cast<u32>(bytes.size());
  }
  // There are no places: the position is always 0.
  Outcome<u64> seek(i64, u32 whence) override {
    return whence > 2 ? Outcome<u64>(Errno::inval) : u64{0};
  }

 private:
  const DeviceNumber device_;
};

class DevDirectory final : public FixedDirectory {
 public:
  explicit DevDirectory(runtime::Process* process)
      : FixedDirectory(device_nodes, 0, Device::devices), process_(process) {}

  [[nodiscard]] std::string_view type_name() const override { return "dev"; }
  [[nodiscard]] std::shared_ptr<Directory> seen_by(const Viewer& viewer) override {
    return std::make_shared<DevDirectory>(&viewer.process);
  }

 protected:
  [[nodiscard]] std::shared_ptr<Directory> directory_at(u32) const override {
    return std::make_shared<DevDirectory>(nullptr);
  }
  [[nodiscard]] Outcome<std::shared_ptr<cap::Object>> file_at(u32 node, u32,
                                                              Access access) override {
    if (const auto handle = own_number(node)) return std::make_shared<OwnHandle>(*handle);
    return std::make_shared<DeviceFile>(static_cast<DeviceNumber>(node), stat_of(node), access);
  }
  [[nodiscard]] bool exists(u32 node) const override {
    const auto handle = own_number(node);
    if (!handle) return true;
    if (process_ == nullptr) return false;
    const auto found = process_->handles().find(*handle, OwnHandle::kinds, cap::rights_none);
    return std::holds_alternative<cap::Capability*>(found);
  }

 private:
  runtime::Process* const process_;  // null: of nobody
};

}  // namespace

std::shared_ptr<Directory> make_dev() { return std::make_shared<DevDirectory>(nullptr); }

}  // namespace atollvm::vfs
