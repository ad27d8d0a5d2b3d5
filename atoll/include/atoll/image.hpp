// Images: a program in one file, with the files that it needs and a manifest that says what it asks
// for. docs/images.md describes them. Threads: any, at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <atoll/process.hpp>
#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

// A file system that an image asks for.
struct ImageMount {
  std::string guest;     // path by which the guest names it
  std::string type;      // "dir", "memory", "overlay" or "archive"; see Mount
  bool writable = true;  // else it is only read
  bool is_required = false;
  std::string about{};  // what it is for, for people
  // Of "memory": what it asks for; it gets at most 64 MiB without a grant.
  std::optional<std::uint64_t> bytes{};
};

struct ImageManifest {
  std::string name;
  bool has_root = false;                 // a file system of its own, which the guest finds at "/"
  bool is_overlay = false;               // changes to it are kept in memory; else it is only read
  std::optional<std::uint64_t> bytes{};  // limit of these changes, 64 MiB at most
  std::vector<std::string> arguments;    // behind the program's name
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<ImageMount> mounts;
  // What the program is content with.
  std::optional<std::uint64_t> memory_bytes{};
  std::optional<std::uint64_t> stack_bytes{};
  std::optional<std::uint64_t> handles{};
  std::optional<std::uint64_t> fuel{};
};

// What lies below an image's root.
struct ImageFile {
  enum class Type : std::uint8_t { file, directory, link };
  std::string path;  // as the guest names it: "/pages/index"
  Type type = Type::file;
  std::uint64_t size = 0;  // of a file, bytes
  std::string target{};    // of a symbolic link
};

// What is granted of that which an image asks for.
struct ImageGrant {
  std::string guest;     // the path that the manifest has
  std::string source;    // path on the host; of "memory" empty
  bool writable = true;  // no more than the image asks for
};

class Image {
 public:
  // Whether a file begins as an image does.
  static bool is_image(const std::string& path);

  // Reads the manifest and finds the rest. The file must stay as it is while the image, or a
  // process of it, is there. With `public_key` (PEM, ed25519) the image must be signed by the key's
  // owner: every byte of it is checked and then held in memory, so that later changes of the file
  // mean nothing. Errors: not_found, io, malformed, invalid (the manifest), limit, unsupported (no
  // libarchive; no OpenSSL), denied (not signed, or not by this key, or changed), usage (no such
  // key).
  static Result<Image> open(const std::string& path, std::string_view public_key = {});

  [[nodiscard]] const ImageManifest& manifest() const noexcept;
  // Whether it has a signature, of whomever.
  [[nodiscard]] bool is_signed() const noexcept;
  // The module that it runs: a module file or a WebAssembly module. Errors: io, limit.
  [[nodiscard]] Result<std::string> module_bytes() const;
  // All that lies below its root, by their paths. Errors: io, limit (the paths and targets take
  // more than 64 MiB).
  [[nodiscard]] Result<std::vector<ImageFile>> files() const;
  // The bytes of a file by its path, which no link is part of. Errors: not_found, io, limit (more
  // than 256 MiB).
  [[nodiscard]] Result<std::string> file_bytes(const std::string& path) const;
  // Puts what the image has and what it was granted into the options of a process: mounts;
  // arguments where there is no more than the program's name; variables that are not set; limits,
  // which become no greater. The image must be there until the process has been made. Errors: usage
  // (a grant of what it does not ask for), denied (something that is required has no grant).
  std::optional<Error> apply(std::span<const ImageGrant> grants, ProcessOptions& options) const;

 private:
  struct Impl;
  explicit Image(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// An image, from a manifest that names its parts by paths relative to it: the same inputs give the
// same bytes. With `private_key` (PEM, ed25519) it is signed. Errors: not_found, io, malformed and
// invalid (the manifest, the module), limit (more than 1 GiB), unsupported (what can't be packed;
// no OpenSSL), usage (no such key).
Result<std::string> pack_image(const std::string& manifest, std::string_view private_key = {});

}  // namespace atollvm
#pragma GCC visibility pop
