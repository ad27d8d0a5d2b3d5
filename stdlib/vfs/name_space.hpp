// A process's name space: which directory stands behind which path, and with which rights. The one
// place where a guest's path is taken apart; what is left of it goes to one backend, once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "stdlib/vfs/vfs.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vfs {

// What a mount of each kind may grant at most.
inline constexpr cap::Rights rights_read_only = cap::right_read | cap::right_list |
                                                cap::right_stat | cap::right_open |
                                                cap::right_load | cap::right_lock;
inline constexpr cap::Rights rights_read_write = cap::rights_all;

// Threads: mounting before the process runs, resolving afterwards.
//
// Names are resolved as they are written: ".." takes back the name before it, whatever that name
// stands for, so which mount a path belongs to never depends on what the backends hold. Symbolic
// links inside a backend are the backend's matter and don't lead into other mounts; a mount below
// another one hides what is there by name only. The authority is each mount's whole directory.
class NameSpace : public cap::Object {
 public:
  NameSpace() : Object(cap::Kind::name_space) {}

  // `guest` is an absolute path ("/", "/data"), or a relative one ("." or "data") for paths that
  // don't begin with a slash. Errors: usage (empty, NUL bytes, "..", or mounted already).
  base::Status mount(std::string_view guest, std::shared_ptr<Directory> directory,
                     cap::Rights rights);

  // The path, and all below it, is noent: a mount that has no name. Errors: as mount().
  base::Status reserve(std::string_view guest);

  struct Resolved {
    std::shared_ptr<Directory> directory;
    cap::Rights rights = cap::rights_none;
    std::string path;           // for the directory; "." is itself
    bool holds_mounts = false;  // something is mounted below it, or hidden, or has fewer rights
  };
  // The longest mount that a path begins with. A relative path is looked up among the relative
  // mounts, and from "/" when there are none. Errors: noent (also: no mount there), nametoolong,
  // inval (NUL bytes), notcapable (".." leads outside).
  [[nodiscard]] Outcome<Resolved> resolve(std::string_view path) const;

  // The same without a path: what it names, and all mounts there and below, is noent. Errors: those
  // of resolve(), but for noent; mlink (max_changes paths are changed already).
  [[nodiscard]] Outcome<std::shared_ptr<NameSpace>> without(std::string_view path) const;
  // The same with not more than `rights` to what the path names, and to all mounts there and below.
  // Errors: those of resolve(); mlink (max_changes paths are changed already).
  [[nodiscard]] Outcome<std::shared_ptr<NameSpace>> attenuated(std::string_view path,
                                                               cap::Rights rights) const;
  static constexpr usize max_changes = 64;

  struct Shown {
    std::string guest;
    std::shared_ptr<Directory> directory;
    cap::Rights rights = cap::rights_none;
  };
  // All of them; where two fit a path, the first counts.
  [[nodiscard]] std::vector<Shown> mounts() const;

 private:
  struct Mount {
    bool absolute = true;
    std::vector<std::string> names;
    std::shared_ptr<Directory> directory;
    cap::Rights rights = cap::rights_none;
    bool is_hidden = false;  // it only keeps shorter ones from being found
    bool is_change = false;  // made by without() or attenuated(), where nothing is mounted
    std::string inner{};     // what it is below the directory; empty: itself
  };
  // What a path is, by its names; nothing else of it counts. Errors: those of resolve().
  [[nodiscard]] Errno take_apart(std::string_view path, std::vector<std::string_view>& names,
                                 bool& absolute) const;
  base::Status add_checked(std::string_view guest, Mount mount);
  void add(Mount mount);
  // The mount that names belong to; null: none.
  [[nodiscard]] const Mount* find(const std::vector<std::string_view>& names, bool absolute) const;
  [[nodiscard]] usize changes() const;

  std::vector<std::shared_ptr<const Mount>>
      mounts_;  // longest first; shared by what without() makes
  bool has_relative_ = false;
};

}  // namespace atollvm::vfs
