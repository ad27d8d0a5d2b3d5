// Constant expressions (specification, section 3.3.10, with the extended-const operations), checked
// with a stack of types as they are read.
#include <array>

#include "assembler/wasm/reader.hpp"
#include "vm/module/limits.hpp"

namespace atollvm::wasm {

namespace {

using Kind = mod::ConstOp::Kind;
using mod::ValType;

class Constant {
 public:
  explicit Constant(Reader& reader) : reader_(reader), in_(reader.in) {}

  mod::ConstExpr read(ValType wanted) {
    const u8* begin = in_.at();
    for (;;) {
      reader_.here();
      const u8 byte = in_.byte();
      if (byte == 0x0b || !reader_.ok()) break;
      operation(byte);
      if (!reader_.ok()) break;
      if (expr_.size() > mod::limits::const_expr_ops) {
        reader_.within(expr_.size(), mod::limits::const_expr_ops,
                       "operations of a constant expression");
        break;
      }
    }
    if (reader_.ok()) check_result(wanted, begin);
    return std::move(expr_);
  }

 private:
  void operation(u8 byte) {
    switch (byte) {
      case 0x41:
        return push(ValType::i32, Kind::i32_const, static_cast<u32>(in_.leb_i32()));
      case 0x42:
        return push(ValType::i64, Kind::i64_const, static_cast<u64>(in_.leb_i64()));
      case 0x43:
        return push(ValType::f32, Kind::f32_const, in_.fixed<u32>());
      case 0x44:
        return push(ValType::f64, Kind::f64_const, in_.fixed<u64>());
      case 0x23:
        return global_get();
      case 0xd0:
        return push(reader_.reference_type(), Kind::ref_null, 0);
      case 0xd2:
        return push(ValType::funcref, Kind::ref_func, reader_.declared_function());
      case 0x6a:
        return arithmetic(ValType::i32, Kind::i32_add);
      case 0x6b:
        return arithmetic(ValType::i32, Kind::i32_sub);
      case 0x6c:
        return arithmetic(ValType::i32, Kind::i32_mul);
      case 0x7c:
        return arithmetic(ValType::i64, Kind::i64_add);
      case 0x7d:
        return arithmetic(ValType::i64, Kind::i64_sub);
      case 0x7e:
        return arithmetic(ValType::i64, Kind::i64_mul);
      default:
        return other(byte);
    }
  }

  void push(ValType type, Kind kind, u64 value) {
    if (!reader_.ok() || !reader_.add_const_op()) return;
    expr_.push_back({kind, value});
    stack_[depth_++] = type;
  }

  // Only imported globals exist here: the others come into being one after the other.
  void global_get() {
    const u32 index = reader_.index("global", reader_.imported_globals);
    if (!reader_.ok()) return;
    const mod::GlobalType& global = reader_.image.globals[index];
    if (global.is_mutable) {
      reader_.invalid("constant expression required: global {} is mutable", index);
      return;
    }
    push(global.type, Kind::global_get, index);
  }

  void arithmetic(ValType type, Kind kind) {
    if (depth_ < 2 || stack_[depth_ - 1] != type || stack_[depth_ - 2] != type) {
      reader_.invalid("type mismatch: arithmetic needs two operands of type {}",
                      mod::name_of(type));
      return;
    }
    depth_ -= 2;
    push(type, kind, 0);
  }

  void other(u8 byte) {
    if (is_operation(byte)) {
      reader_.invalid("constant expression required: operation 0x{:02x} is no constant", byte);
    } else if (const char* proposal = proposal_of_operation(byte)) {
      reader_.unsupported(fmt::format("operation 0x{:02x}", byte).c_str(), proposal);
    } else {
      reader_.malformed("illegal opcode 0x{:02x}", byte);
    }
  }

  void check_result(ValType wanted, const u8* begin) {
    reader_.at(begin);
    if (depth_ != 1) {
      reader_.invalid("type mismatch: a constant expression leaves {} values", depth_);
    } else if (stack_[0] != wanted) {
      reader_.invalid("type mismatch: a constant of type {} where {} is needed",
                      mod::name_of(stack_[0]), mod::name_of(wanted));
    }
  }

  Reader& reader_;
  Bytes& in_;
  mod::ConstExpr expr_;
  std::array<ValType, mod::limits::const_expr_ops + 1> stack_{};
  usize depth_ = 0;
};

}  // namespace

mod::ConstExpr Reader::constant(mod::ValType wanted) { return Constant(*this).read(wanted); }

}  // namespace atollvm::wasm
