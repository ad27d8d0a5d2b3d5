// The interface: "JIT Compilation Interface" of gdb's manual. Each block is an object file in
// memory, with its addresses: a symbol, and how to unwind in .eh_frame, as the psABI for x86-64 and
// DWARF 4 (6.4.1) define it.
#include "vm/jit/gdb.hpp"

#include <elf.h>

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "vm/jit/jit.hpp"
#include "vm/jit/routines.hpp"

#pragma GCC diagnostic push
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wreserved-identifier"
#endif
// By these names gdb finds what it reads, and stops where the function is called.
extern "C" {
struct jit_code_entry {
  jit_code_entry* next_entry = nullptr;
  jit_code_entry* prev_entry = nullptr;
  const char* symfile_addr = nullptr;
  std::uint64_t symfile_size = 0;
};
struct jit_descriptor {
  std::uint32_t version = 1;
  std::uint32_t action_flag = 0;  // 1: added, 2: removed
  jit_code_entry* relevant_entry = nullptr;
  jit_code_entry* first_entry = nullptr;
};
jit_descriptor __jit_debug_descriptor;
[[gnu::noinline, gnu::used]] void __jit_debug_register_code() { asm volatile("" ::: "memory"); }
}

namespace atollvm::jit {

namespace {

struct Registered {
  jit_code_entry entry;
  std::string object;
};

std::atomic<bool> is_asked_for{false};
std::mutex blocks_mutex;  // of all below, and of the descriptor
std::map<const u8*, std::unique_ptr<Registered>>& registered() {
  static auto* const blocks = new std::map<const u8*, std::unique_ptr<Registered>>;
  return *blocks;
}

template <class T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Registers by DWARF's numbers; instructions of call frame information.
constexpr u8 rbx = 3;
constexpr u8 rbp = 6;
constexpr u8 rsp = 7;
constexpr u8 return_address = 16;
constexpr u8 def_cfa = 0x0c;
constexpr u8 offset = 0x80;

// A record with its length before it, padded with what does nothing.
void append_record(std::string& to, std::string record) {
  record.resize((record.size() + 4 + 7) / 8 * 8 - 4);
  append(to, static_cast<u32>(record.size()));
  to += record;
}

std::string rules(gdb::Unwind unwind) {
  using gdb::Unwind;
  const bool by_rbp = unwind == Unwind::routine || unwind == Unwind::returned;
  const bool is_way_in = unwind == Unwind::entered || unwind == Unwind::returned;
  std::string rules;
  const auto byte = [&rules](u8 value) { rules += static_cast<char>(value); };
  byte(def_cfa);
  byte(by_rbp ? rbp : rsp);
  byte(is_way_in ? 64 : 8);
  // Units of 8 bytes below the caller's frame.
  byte(offset | return_address);
  byte(1);
  if (!is_way_in) return rules;
  u8 place = 2;
  for (const u8 kept : {rbx, rbp, u8{12}, u8{13}, u8{14}, u8{15}}) {
    byte(offset | kept);
    byte(place++);
  }
  return rules;
}

std::string eh_frame(const CodeMemory::Block& block, std::span<const gdb::Part> parts) {
  std::string frames;
  std::string common;
  append(common, u32{0});
  common += '\1';          // version
  common.append("zR", 3);  // with the encoding of addresses
  common += '\1';          // units of code: bytes
  common += '\x78';        // of data: -8
  common += static_cast<char>(return_address);
  common += '\1';  // bytes of what R says
  common += '\0';  // addresses are absolute
  append_record(frames, std::move(common));
  for (const gdb::Part& part : parts) {
    std::string entry;
    append(entry, static_cast<u32>(frames.size() + 4));  // back to the common part
    append(entry, reinterpret_cast<std::uintptr_t>(block.code + part.begin));
    append(entry, u64{part.end - part.begin});
    entry += '\0';
    entry += rules(part.unwind);
    append_record(frames, std::move(entry));
  }
  append(frames, u32{0});
  return frames;
}

enum Section : u16 { none, text, frames, symbols, strings, sections };

std::string object(const CodeMemory::Block& block, std::string_view name,
                   std::span<const gdb::Part> parts) {
  static constexpr char names[] = "\0.text\0.eh_frame\0.symtab\0.strtab";
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(block.code);
  const std::string unwind = eh_frame(block, parts);
  std::string texts(names, sizeof names);
  Elf64_Sym symbol[2]{};
  symbol[1].st_name = static_cast<u32>(texts.size());
  symbol[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
  symbol[1].st_shndx = text;
  symbol[1].st_size = block.size;
  texts += name;
  texts += '\0';

  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_shoff = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = sections;
  header.e_shstrndx = strings;

  Elf64_Shdr table[sections]{};
  u64 at = sizeof header + sizeof table;
  const auto place = [&](Section section, const char* label, u32 type, u64 size) {
    Elf64_Shdr& each = table[section];
    // The first bytes of `names`, which are there once each.
    each.sh_name = static_cast<u32>(std::string_view(names, sizeof names).find(label));
    each.sh_type = type;
    each.sh_offset = at;
    each.sh_size = size;
    each.sh_addralign = 8;
    if (type != SHT_NOBITS) at += size;
  };
  place(text, ".text", SHT_NOBITS, block.size);
  table[text].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
  table[text].sh_addr = address;
  place(frames, ".eh_frame", SHT_PROGBITS, unwind.size());
  table[frames].sh_flags = SHF_ALLOC;
  place(symbols, ".symtab", SHT_SYMTAB, sizeof symbol);
  table[symbols].sh_entsize = sizeof(Elf64_Sym);
  table[symbols].sh_link = strings;
  table[symbols].sh_info = 1;
  place(strings, ".strtab", SHT_STRTAB, texts.size());

  std::string file;
  append(file, header);
  append(file, table);
  file += unwind;
  append(file, symbol);
  file += texts;
  return file;
}

}  // namespace

void register_with_gdb() {
  const Host* const host = Host::get();
  if (!is_asked_for.exchange(true) && host != nullptr) host->register_with_gdb();
}

void gdb::add(const CodeMemory::Block& block, std::string_view name, std::span<const Part> parts) {
  if (!is_asked_for.load()) return;
  auto made = std::make_unique<Registered>();
  made->object = object(block, name.substr(0, name.find('\0')), parts);
  made->entry.symfile_addr = made->object.data();
  made->entry.symfile_size = made->object.size();
  const std::lock_guard lock(blocks_mutex);
  jit_descriptor& descriptor = __jit_debug_descriptor;
  made->entry.next_entry = descriptor.first_entry;
  if (descriptor.first_entry != nullptr) descriptor.first_entry->prev_entry = &made->entry;
  descriptor.first_entry = &made->entry;
  descriptor.relevant_entry = &made->entry;
  descriptor.action_flag = 1;
  __jit_debug_register_code();
  registered()[block.code] = std::move(made);
}

void gdb::remove(const CodeMemory::Block& block) {
  if (!is_asked_for.load()) return;
  const std::lock_guard lock(blocks_mutex);
  const auto found = registered().find(block.code);
  if (found == registered().end()) return;
  jit_code_entry& entry = found->second->entry;
  jit_descriptor& descriptor = __jit_debug_descriptor;
  (entry.prev_entry != nullptr ? entry.prev_entry->next_entry : descriptor.first_entry) =
      entry.next_entry;
  if (entry.next_entry != nullptr) entry.next_entry->prev_entry = entry.prev_entry;
  descriptor.relevant_entry = &entry;
  descriptor.action_flag = 2;
  __jit_debug_register_code();
  registered().erase(found);
}

}  // namespace atollvm::jit
#pragma GCC diagnostic pop
