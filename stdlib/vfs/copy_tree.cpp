#include "stdlib/vfs/copy_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

namespace atollvm::vfs {
namespace {

using base::Error;
using base::ErrorCode;
using base::Status;

constexpr Wait blocking = Wait::allowed;
constexpr usize copy_piece = 1 << 20;

Error failed(const std::string& place, Errno error) {
  return Error{error == Errno::noent ? ErrorCode::not_found : ErrorCode::io, place,
               std::string(text_of(error))};
}

Outcome<std::shared_ptr<Directory>> enter(Directory& folder, std::string_view name) {
  auto opened = folder.open(name, open_directory | open_nofollow, {}, blocking);
  if (const Errno* const error = std::get_if<Errno>(&opened)) return *error;
  return std::static_pointer_cast<Directory>(std::get<std::shared_ptr<cap::Object>>(opened));
}

Outcome<std::shared_ptr<File>> open_file(Directory& folder, std::string_view name, u32 flags,
                                         Access access) {
  auto opened = folder.open(name, flags | open_nofollow, access, blocking);
  if (const Errno* const error = std::get_if<Errno>(&opened)) return *error;
  auto& object = std::get<std::shared_ptr<cap::Object>>(opened);
  if (object->kind() != cap::Kind::file) return Errno::isdir;
  return std::static_pointer_cast<File>(object);
}

// Calls `use` with all bytes of a file, piece by piece, and their positions.
Errno read_all(File& file, const std::function<Errno(u64, std::span<const u8>)>& use) {
  std::vector<u8> bytes(copy_piece);
  for (u64 at = 0;;) {
    const auto size = file.read(bytes, at, blocking);
    if (const Errno* const error = std::get_if<Errno>(&size)) return *error;
    const u32 some = std::get<u32>(size);
    if (some == 0) return Errno::success;
    if (const Errno error = use(at, {bytes.data(), some}); error != Errno::success) return error;
    at += some;
  }
}

Errno write_all(File& file, u64 at, std::span<const u8> bytes) {
  while (!bytes.empty()) {
    const auto size = file.write(bytes, at, {}, blocking);
    if (const Errno* const error = std::get_if<Errno>(&size)) return *error;
    if (std::get<u32>(size) == 0) return Errno::io;
    at += std::get<u32>(size);
    bytes = bytes.subspan(std::get<u32>(size));
  }
  return Errno::success;
}

class Copier {
 public:
  Status copy(Directory& from, const std::string& path, Directory& to, const std::string& to_path) {
    const auto found = from.stat(path, false, blocking);
    if (const Errno* const error = std::get_if<Errno>(&found)) return failed(path, *error);
    const Stat& stat = std::get<Stat>(found);
    if (stat.type != FileType::directory) {
      TreeEntry entry;
      entry.path = path;
      entry.stat = stat;
      const Errno error = copy_one(from, path, entry, to, to_path);
      return error == Errno::success ? Status() : failed(path, error);
    }
    auto source = enter(from, path);
    if (const Errno* const error = std::get_if<Errno>(&source)) return failed(path, *error);
    auto target = make(to, to_path);
    if (const Errno* const error = std::get_if<Errno>(&target)) return failed(to_path, *error);
    const auto root = std::get<std::shared_ptr<Directory>>(target);
    folders_[""] = root;
    stamps_.emplace_back("", stat.modified_ns);
    Status done = walk_tree(
        std::get<std::shared_ptr<Directory>>(source), true, [&](const TreeEntry& entry) -> Status {
          const usize slash = entry.path.rfind('/');
          const auto above =
              folders_.find(slash == std::string::npos ? "" : entry.path.substr(0, slash));
          if (above == folders_.end()) return failed(entry.path, Errno::io);
          Errno error = Errno::success;
          if (entry.stat.type == FileType::directory) {
            auto made = make(*above->second, entry.name);
            if (const Errno* const no = std::get_if<Errno>(&made)) return failed(entry.path, *no);
            folders_[entry.path] = std::get<std::shared_ptr<Directory>>(made);
            stamps_.emplace_back(entry.path, entry.stat.modified_ns);
          } else {
            error = copy_one(*entry.folder, entry.name, entry, *above->second, entry.name);
          }
          return error == Errno::success ? Status() : failed(entry.path, error);
        });
    // After all that is in them.
    for (const auto& [folder, modified] : stamps_) {
      static_cast<void>(
          folders_[folder]->set_times(".", true, {.modified_ns = modified}, blocking));
    }
    return done;
  }

 private:
  static Outcome<std::shared_ptr<Directory>> make(Directory& to, const std::string& path) {
    const Errno error = to.make_directory(path, blocking);
    if (error != Errno::success && error != Errno::exist) return error;
    auto opened = to.open(path, open_directory, {}, blocking);
    if (const Errno* const no = std::get_if<Errno>(&opened)) return *no;
    return std::static_pointer_cast<Directory>(std::get<std::shared_ptr<cap::Object>>(opened));
  }

  Errno copy_one(Directory& from, const std::string& name, const TreeEntry& entry, Directory& to,
                 const std::string& to_name) {
    const Stat& stat = entry.stat;
    if (stat.type == FileType::link) {
      const auto target = from.read_link(name, blocking);
      if (const Errno* const error = std::get_if<Errno>(&target)) return *error;
      static_cast<void>(to.remove_file(to_name, blocking));
      return to.make_link(std::get<std::string>(target), to_name, blocking);
    }
    if (stat.type != FileType::regular) return Errno::success;
    if (stat.links > 1) {
      const auto [known, is_new] =
          names_.try_emplace({stat.device, stat.inode}, entry.path, to_name);
      if (!is_new) {
        static_cast<void>(to.remove_file(to_name, blocking));
        const std::string& path = known->second.first;
        const usize slash = path.rfind('/');
        Directory& folder = *folders_[slash == std::string::npos ? "" : path.substr(0, slash)];
        return folder.link(known->second.second, to, to_name, blocking);
      }
    }
    auto source = open_file(from, name, 0, {true, false});
    if (const Errno* const error = std::get_if<Errno>(&source)) return *error;
    // Another file than before: who has that open, or another name of it, keeps what it was.
    static_cast<void>(to.remove_file(to_name, blocking));
    auto target = open_file(to, to_name, open_create | open_truncate, {false, true});
    if (const Errno* const error = std::get_if<Errno>(&target)) return *error;
    File& file = *std::get<std::shared_ptr<File>>(target);
    u64 end = 0;
    const Errno error =
        read_all(*std::get<std::shared_ptr<File>>(source), [&](u64 at, std::span<const u8> bytes) {
          end = at + bytes.size();
          // What is zero throughout stays a hole.
          const bool is_zero = std::ranges::all_of(bytes, [](u8 byte) { return byte == 0; });
          return is_zero ? Errno::success : write_all(file, at, bytes);
        });
    if (error != Errno::success) return error;
    if (const Errno sized = file.truncate(end, blocking); sized != Errno::success) return sized;
    return file.set_times({.modified_ns = stat.modified_ns}, blocking);
  }

  std::map<std::string, std::shared_ptr<Directory>> folders_;
  std::vector<std::pair<std::string, i64>> stamps_;
  std::map<std::pair<u64, u64>, std::pair<std::string, std::string>> names_;
};

// Blocks of 512 bytes: a header, then what it announces, filled up with zeros.
class TarWriter {
 public:
  explicit TarWriter(const std::function<bool(std::string_view)>& write) : write_(write) {}

  bool header(const std::string& path, char type, u64 size, i64 modified_ns,
              const std::string& target) {
    std::string extra;
    if (path.size() > 100) extra += record("path", path);
    if (target.size() > 100) extra += record("linkpath", target);
    if (size > 077777777777) extra += record("size", std::to_string(size));
    const i64 seconds = std::max<i64>(modified_ns / 1'000'000'000, 0);
    if (!extra.empty()) {
      if (!block("pax", 'x', extra.size(), seconds, "") || !text(extra) || !fill(extra.size())) {
        return false;
      }
    }
    return block(path, type, std::min<u64>(size, 077777777777), seconds, target);
  }
  bool text(std::string_view bytes) { return write_(bytes); }
  bool fill(u64 size) {
    return size % 512 == 0 || write_(std::string(static_cast<usize>(512 - size % 512), '\0'));
  }
  bool end() { return write_(std::string(1024, '\0')); }

 private:
  // "LENGTH KEY=VALUE\n", where the length counts itself.
  static std::string record(std::string_view key, std::string_view value) {
    const usize rest = key.size() + value.size() + 3;
    usize size = rest + 1;
    while (std::to_string(size).size() + rest != size) ++size;
    return fmt::format("{} {}={}\n", size, key, value);
  }

  bool block(std::string_view path, char type, u64 size, i64 seconds, std::string_view target) {
    std::string head(512, '\0');
    const auto put = [&head](usize at, std::string_view value) {
      std::copy(value.begin(), value.end(), head.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(0, path.substr(0, 100));
    put(100, type == '5' ? "0000755" : "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", size));
    put(136, fmt::format("{:011o}", std::min<i64>(seconds, 077777777777)));
    put(148, "        ");
    head[156] = type;
    put(157, target.substr(0, 100));
    put(257, std::string_view("ustar\00000", 8));
    u32 sum = 0;
    for (const char c : head) sum += static_cast<u8>(c);
    put(148, fmt::format("{:06o}", sum));
    head[154] = '\0';
    head[155] = ' ';
    return write_(head);
  }

  const std::function<bool(std::string_view)>& write_;
};

}  // namespace

std::string_view text_of(Errno error) {
  switch (error) {
    case Errno::noent:
      return "No such file or directory";
    case Errno::notdir:
      return "Not a directory";
    case Errno::isdir:
      return "Is a directory";
    case Errno::exist:
      return "File exists";
    case Errno::nospc:
      return "No space left: `atoll volume grow` gives a volume more";
    case Errno::notcapable:
      return "It is absolute or leads outside";
    case Errno::acces:
    case Errno::perm:
      return "Permission denied";
    case Errno::nametoolong:
      return "The name is too long";
    case Errno::loop:
      return "It is a symbolic link, or there are too many on the way";
    case Errno::rofs:
      return "It can only be read";
    case Errno::fbig:
      return "The file is too large";
    case Errno::inval:
      return "It is no name";
    default:
      return "It can't be read or written";
  }
}

Status walk_tree(std::shared_ptr<Directory> root, bool below,
                 const std::function<Status(const TreeEntry&)>& visit) {
  struct Left {
    std::shared_ptr<Directory> above;
    std::string name;
    std::string path;
    std::shared_ptr<Directory> folder;  // null: not opened yet
  };
  std::set<std::pair<u64, u64>> seen;
  std::vector<Left> left;
  left.push_back({nullptr, "", "", std::move(root)});
  while (!left.empty()) {
    Left at = std::move(left.back());
    left.pop_back();
    if (at.folder == nullptr) {
      auto opened = enter(*at.above, at.name);
      if (const Errno* const error = std::get_if<Errno>(&opened)) return failed(at.path, *error);
      at.folder = std::get<std::shared_ptr<Directory>>(opened);
    }
    for (u64 cookie = 0;;) {
      const auto some = at.folder->list(cookie, 1 << 16, blocking);
      if (const Errno* const error = std::get_if<Errno>(&some)) {
        return failed(at.path.empty() ? "." : at.path, *error);
      }
      const auto& entries = std::get<std::vector<Entry>>(some);
      if (entries.empty()) break;
      for (const Entry& each : entries) {
        TreeEntry entry;
        entry.path = at.path.empty() ? each.name : at.path + "/" + each.name;
        entry.name = each.name;
        entry.folder = at.folder;
        const auto stat = at.folder->stat(each.name, false, blocking);
        if (const Errno* const error = std::get_if<Errno>(&stat)) return failed(entry.path, *error);
        entry.stat = std::get<Stat>(stat);
        if (entry.stat.type == FileType::link) {
          const auto target = at.folder->read_link(each.name, blocking);
          if (const Errno* const error = std::get_if<Errno>(&target)) {
            return failed(entry.path, *error);
          }
          entry.target = std::get<std::string>(target);
        }
        if (Status done = visit(entry); !done) return done;
        if (below && entry.stat.type == FileType::directory) {
          // A volume that was made up can have directories in themselves.
          if (!seen.emplace(entry.stat.device, entry.stat.inode).second) {
            return failed(entry.path, Errno::io);
          }
          left.push_back({at.folder, each.name, entry.path, nullptr});
        }
      }
      cookie = entries.back().next;
    }
  }
  return {};
}

Status copy_tree(Directory& from, const std::string& path, Directory& to,
                 const std::string& to_path) {
  return Copier().copy(from, path, to, to_path);
}

Status write_tar(const std::shared_ptr<Directory>& root,
                 const std::function<bool(std::string_view)>& write) {
  TarWriter tar(write);
  const Error full{ErrorCode::io, "", "the archive can't be written"};
  std::map<std::pair<u64, u64>, std::string> names;
  Status done = walk_tree(root, true, [&](const TreeEntry& entry) -> Status {
    const Stat& stat = entry.stat;
    const auto header = [&](char type, u64 size, const std::string& target) {
      return tar.header(type == '5' ? entry.path + "/" : entry.path, type, size, stat.modified_ns,
                        target);
    };
    if (stat.type == FileType::directory) return header('5', 0, "") ? Status() : full;
    if (stat.type == FileType::link) return header('2', 0, entry.target) ? Status() : full;
    if (stat.type != FileType::regular) return {};
    if (stat.links > 1) {
      const auto [known, is_new] = names.try_emplace({stat.device, stat.inode}, entry.path);
      if (!is_new) return header('1', 0, known->second) ? Status() : full;
    }
    auto opened = open_file(*entry.folder, entry.name, 0, {true, false});
    if (const Errno* const error = std::get_if<Errno>(&opened)) return failed(entry.path, *error);
    if (!header('0', stat.size, "")) return full;
    u64 size = 0;
    bool ok = true;
    const Errno error =
        read_all(*std::get<std::shared_ptr<File>>(opened), [&](u64 at, std::span<const u8> bytes) {
          size = at + bytes.size();
          ok = tar.text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
          return ok ? Errno::success : Errno::io;
        });
    if (!ok) return full;
    if (error != Errno::success) return failed(entry.path, error);
    if (size != stat.size) return failed(entry.path, Errno::io);
    return tar.fill(size) ? Status() : full;
  });
  if (!done) return done;
  return tar.end() ? Status() : full;
}

}  // namespace atollvm::vfs
