// What the handles of a machine's processes name, for snapshots: the streams and directories that
// the machine was granted, and what was opened from them.
#pragma once

#include <unordered_map>

#include "atoll/embed/start_up.hpp"
#include "scheduler/snapshot/snapshot.hpp"

namespace atollvm {

// A file or directory is described by the guest's path of the granted directory that it lies in,
// and its path from there, where it is now; paths of the host are not part of a snapshot. Restored,
// it is opened from the directory that is granted under the same path then, with the rights that
// this one allows, and no path leaves that. Of a file system in memory, or an overlay, the image
// has what is in memory, and says by itself what is open there.
class GrantedObjects final : public snapshot::Objects {
 public:
  // The grants must outlive it.
  explicit GrantedObjects(const Grants& grants);

  std::optional<std::string> describe(const std::shared_ptr<cap::Object>& object) override;
  std::shared_ptr<cap::Object> restore(cap::Kind kind, std::string_view description,
                                       cap::Rights& rights) override;
  std::string describe(const cap::Facet& facet) override;
  bool restore(std::string_view description, cap::Capability& capability) override;
  std::vector<std::string> file_systems() override;
  void write_file_system(std::string_view name, base::Writer& to) override;
  bool read_file_system(std::string_view name, base::Reader& from, const base::Take& take) override;

 private:
  std::optional<std::string> place_of(std::string_view host_path) const;
  std::optional<std::string> kept_place_of(cap::Object& object);
  static std::shared_ptr<cap::Object> open_by_path(const Grants::Directory& from, cap::Kind kind,
                                                   std::string_view text);
  [[nodiscard]] vfs::Kept* find_kept(std::string_view guest) const;

  const Grants& grants_;
  std::vector<std::unique_ptr<vfs::Kept>> kept_;  // as the directories; null: nothing is kept
  std::unordered_map<const cap::Object*, cap::Rights> rights_;  // by what was restored
};

}  // namespace atollvm
