// A verified module made ready to run: derived tables that all its processes share.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "vm/cap/account.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm::runtime {

// What a call needs to know of a function. Entries of imported functions have no code.
struct FuncInfo {
  const isa::Word* code = nullptr;
  u16 param_slots = 0;
  u16 zeroed_slots = 0;  // locals after the parameters
  u16 window_slots = 0;  // max(frame, min_window): what the stack limit is checked against
  u16 result_slots = 0;
  u32 type = 0;  // index of the first equal type in the module, so equal types compare equal
};

// Every frame has at least this many slots of the stack to itself (for host calls).
inline constexpr u32 min_window = 16;

// Bytes that a program of this module takes, about.
u64 footprint(const mod::Module& module);

// Compiled code of a program; vm/jit has it.
class NativeCode {
 public:
  NativeCode() = default;
  NativeCode(const NativeCode&) = delete;
  NativeCode& operator=(const NativeCode&) = delete;
  virtual ~NativeCode() = default;
};

// Immutable but for its compiled code; any thread.
class Program {
 public:
  // `charge`: of the machine one of whose guests has loaded it; goes with it.
  static std::shared_ptr<const Program> make(verify::VerifiedModule module,
                                             std::optional<cap::LastingCharge> charge = {});

  // Its compiled code; null: none yet. The first one that is given stays, as long as the program.
  [[nodiscard]] NativeCode* native() const { return native_.load(std::memory_order_acquire); }
  NativeCode& set_native(std::unique_ptr<NativeCode> code) const;
  ~Program() { delete native(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  [[nodiscard]] bool is_charged() const { return charge_.has_value(); }
  // Null: it is charged to nobody.
  [[nodiscard]] const cap::Account* charged_to() const {
    return charge_ ? charge_->account() : nullptr;
  }
  [[nodiscard]] const mod::Module& module() const { return *module_; }
  [[nodiscard]] bool uses_floats() const { return module_.uses_floats(); }
  [[nodiscard]] const isa::Word* code() const { return module_->code.data(); }
  // Indexed by the function index space: imports first.
  [[nodiscard]] const std::vector<FuncInfo>& functions() const { return functions_; }
  [[nodiscard]] u32 imported_functions() const { return imported_functions_; }
  [[nodiscard]] u32 imported_globals() const {
    return static_cast<u32>(imported_global_types_.size());
  }
  [[nodiscard]] mod::GlobalType global_type(u32 global) const {
    return global < imported_globals() ? imported_global_types_[global]
                                       : module_->globals[global - imported_globals()].type;
  }
  // Types as FuncInfo::type counts them, for each type index.
  [[nodiscard]] const std::vector<u32>& canonical_types() const { return canonical_types_; }
  // Type index of a function.
  [[nodiscard]] u32 type_of(u32 function) const { return function_types_[function]; }
  // Index in the function index space of the function whose code holds this word.
  [[nodiscard]] u32 function_at(u32 pc) const;
  // First word of the instruction that holds this word. Linear in the function's code.
  [[nodiscard]] u32 instruction_at(u32 pc) const;
  // The function of its own that a WebAssembly reactor wants called first: `_initialize`.
  [[nodiscard]] std::optional<u32> initializer() const { return initializer_; }
  // The exported thing, or nothing.
  [[nodiscard]] std::optional<u32> find_export(std::string_view name, mod::ExternKind kind) const;
  // What the active segments put into memory 0, in one piece, where that is all that they do.
  // Empty: they are to be applied one by one.
  struct Image {
    u64 offset = 0;
    std::vector<u8> bytes;
  };
  [[nodiscard]] const Image& memory_image() const { return image_; }
  // What an instance's own memories, globals and tables charge at first.
  [[nodiscard]] u64 instance_bytes() const { return instance_bytes_; }
  // "name" or "func[12]", for traces and messages.
  [[nodiscard]] std::string function_name(u32 function) const;

 private:
  Program(verify::VerifiedModule module, std::optional<cap::LastingCharge> charge)
      : module_(std::move(module)), charge_(std::move(charge)) {}

  verify::VerifiedModule module_;
  std::optional<cap::LastingCharge> charge_;
  std::vector<FuncInfo> functions_;
  std::vector<u32> function_types_;
  std::vector<u32> canonical_types_;
  Image image_;
  u64 instance_bytes_ = 0;
  u32 imported_functions_ = 0;
  std::optional<u32> initializer_;
  std::vector<mod::GlobalType> imported_global_types_;
  mutable std::atomic<NativeCode*> native_{nullptr};
};

}  // namespace atollvm::runtime
