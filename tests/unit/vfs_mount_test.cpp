// Mounts: as text, and opened.
#include "stdlib/vfs/mount.hpp"

#include "scheduler/machine/spec.hpp"
#include "tests/support/file_systems.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;

TEST_CASE("mounts: as text") {
  const auto memory = vfs::parse_mount("memory::/tmp:size=16M,inodes=100");
  REQUIRE(memory.ok());
  CHECK(memory->type == "memory");
  CHECK(memory->source.empty());
  CHECK(memory->guest == "/tmp");
  CHECK(memory->writable);
  CHECK(memory->bytes == u64{16} << 20);
  CHECK(memory->inodes == 100);
  const auto directory = vfs::parse_mount("dir:data dir:.:ro");
  REQUIRE(directory.ok());
  CHECK(directory->source == "data dir");
  CHECK(directory->guest == ".");
  CHECK(!directory->writable);
  const auto overlay = vfs::parse_mount("overlay:/src:/src:upper=/changes,rw");
  REQUIRE(overlay.ok());
  CHECK(overlay->upper == "/changes");
  CHECK(overlay->writable);
  const auto kept = vfs::parse_mount("dir:logs:/logs:append,nodelete,nomodules,hidden");
  REQUIRE(kept.ok());
  CHECK(kept->append_only);
  CHECK(kept->no_delete);
  CHECK(kept->no_modules);
  CHECK(kept->is_hidden);
}

TEST_CASE("mounts: mistakes in the text, with what to write") {
  const std::pair<const char*, const char*> rows[] = {
      {"", "a mount is written TYPE:SOURCE:GUEST or TYPE:SOURCE:GUEST:OPTIONS"},
      {"memory", "a mount is written TYPE:SOURCE:GUEST or TYPE:SOURCE:GUEST:OPTIONS"},
      {"dir:a:b:c:d", "a mount is written TYPE:SOURCE:GUEST or TYPE:SOURCE:GUEST:OPTIONS"},
      {"disk:a:/b",
       "there is no type of mount `disk`; there are dir, memory, overlay, archive, image, volume, "
       "dev, "
       "proc"},
      {"dir::/b", "a mount of the type dir needs a directory of the host"},
      {"overlay::/b", "a mount of the type overlay needs a directory of the host"},
      {"archive::/b", "a mount of the type archive needs an archive of the host"},
      {"archive:a:/b:upper=x", "a mount of the type archive has no upper"},
      {"memory:a:/b", "a mount of the type memory has no directory of the host"},
      {"memory::", "a mount needs a path for the guest"},
      {"memory::/b:",
       "there is no option ``; there are ro, append, nodelete, nomodules, hidden, size=SIZE, "
       "inodes=N, upper=DIR"},
      {"memory::/b:rx",
       "there is no option `rx`; there are ro, append, nodelete, nomodules, hidden, size=SIZE, "
       "inodes=N, upper=DIR"},
      {"memory::/b:size", "`` is not a size (bytes, or like 64k, 16M, 2G)"},
      {"memory::/b:size=1T", "`1T` is not a size (bytes, or like 64k, 16M, 2G)"},
      {"memory::/b:size=-1", "`-1` is not a size (bytes, or like 64k, 16M, 2G)"},
      {"memory::/b:size=99999999999G",
       "`99999999999G` is not a size (bytes, or like 64k, 16M, 2G)"},
      {"memory::/b:inodes=1k", "`1k` is not a number"},
      {"memory::/b:upper=x", "a mount of the type memory has no upper"},
      {"dir:a:/b:size=1M", "a mount of the type dir has no size or inodes"},
      {"overlay:a:/b:upper=x,size=1M",
       "an overlay has an upper directory, or size and inodes of its memory, not both"},
      {"memory::/b:ro,append", "a mount that can only be read has no `append`"},
      {"proc::/b:append", "a mount that can only be read has no `append`"},
      {"memory::/b:hidden=1",
       "there is no option `hidden=1`; there are ro, append, nodelete, nomodules, hidden, "
       "size=SIZE, inodes=N, upper=DIR"},
      {"overlay:a:/b:upper=",
       "there is no option `upper=`; there are ro, append, nodelete, nomodules, hidden, size=SIZE, "
       "inodes=N, upper=DIR"},
  };
  for (const auto& [text, message] : rows) {
    CAPTURE(text);
    const auto parsed = vfs::parse_mount(text);
    REQUIRE(!parsed.ok());
    CHECK(parsed.error().place == text);
    CHECK(parsed.error().message == message);
    CHECK(parsed.error().code == base::ErrorCode::usage);
  }
}

TEST_CASE("mounts: opened") {
  const ScratchDirectory scratch;
  std::filesystem::create_directories(scratch / "data/inner");
  std::filesystem::create_directories(scratch / "changes");
  put_text(scratch / "data/file", "below");
  const auto open = [&](const std::string& text) {
    const auto parsed = vfs::parse_mount(text);
    REQUIRE(parsed.ok());
    return vfs::open_mount(*parsed);
  };
  const auto directory = open("dir:" + scratch / "data" + ":/d");
  REQUIRE(directory.ok());
  CHECK(Root(*directory).text("file") == "below");
  const auto memory = open("memory::/m:size=1k");
  REQUIRE(memory.ok());
  CHECK(Root(*memory).mkdir("d") == Errno::success);
  const auto overlay = open("overlay:" + scratch / "data" + ":/o:upper=" + scratch / "changes");
  REQUIRE(overlay.ok());
  Root(*overlay).put("file", "above");
  CHECK(text_of(scratch / "data/file") == "below");
  CHECK(text_of(scratch / "changes/file") == "above");

  const auto missing = open("dir:" + scratch / "none" + ":/d");
  REQUIRE(!missing.ok());
  CHECK(missing.error().code == base::ErrorCode::not_found);
  CHECK(!open("overlay:" + scratch / "none" + ":/d").ok());
  CHECK(!open("overlay:" + scratch / "data" + ":/d:upper=" + scratch / "none").ok());
  // Changes that would be seen from below.
  for (const char* upper : {"data", "data/inner", "."}) {
    const auto refused = open("overlay:" + scratch / "data" + ":/d:upper=" + scratch / upper);
    REQUIRE(!refused.ok());
    CHECK(refused.error().code == base::ErrorCode::usage);
  }
  CHECK(!vfs::open_mount({"tape", "", "/t"}).ok());
  CHECK(!vfs::open_mount({"memory", "", ""}).ok());
}

// Machine files name the types by themselves.
TEST_CASE("mounts: each type can be in a machine file") {
  for (const vfs::MountType& type : vfs::mount_types()) {
    CAPTURE(std::string(type.name));
    const std::string text =
        "[[machine]]\nname = \"m\"\nmodule = \"m\"\n[[machine.mounts]]\n"
        "type = \"" +
        std::string(type.name) + "\"\nguest = \"/g\"\n" +
        (type.source != nullptr ? "source = \"/s\"\n" : "");
    const auto file = machine::read_machine_file("f", text, "/folder");
    REQUIRE(file.ok());
    CHECK(file->machines[0].mounts[0].type == type.name);
  }
}
