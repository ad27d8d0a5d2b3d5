#include "assembler/link/reach.hpp"

#include <algorithm>

namespace atollvm::link {

namespace {

using isa::OperandKind;
using mod::ConstOp;
using mod::ExternKind;

class Marker {
 public:
  Marker(const std::vector<Object>& objects, const Symbols& symbols, Needed& out)
      : objects_(objects), symbols_(symbols), out_(out) {
    for (ExternKind kind :
         {ExternKind::function, ExternKind::table, ExternKind::memory, ExternKind::global}) {
      for (const Object& object : objects) {
        out.items[static_cast<u8>(kind)].emplace_back(object.count(kind));
      }
    }
    for (const Object& object : objects) {
      out.elems.emplace_back(object.module.elems.size());
      out.datas.emplace_back(object.module.datas.size());
    }
  }

  void roots(const std::vector<std::string>& exports) {
    for (u32 object = 0; object < objects_.size(); ++object) {
      const mod::Module& m = objects_[object].module;
      for (const mod::Export& item : m.exports) {
        if (is_kept(exports, item.name)) mark(item.kind, object, item.index);
      }
      if (m.start) mark(ExternKind::function, object, *m.start);
      if (objects_[object].count(ExternKind::memory) != 0) mark(ExternKind::memory, object, 0);
      for (u32 i = 0; i < m.elems.size(); ++i) {
        if (m.elems[i].mode == mod::SegmentMode::active && has_effect(object, m.elems[i])) {
          mark_elem(object, i);
        }
      }
      for (u32 i = 0; i < m.datas.size(); ++i) {
        if (m.datas[i].mode == mod::SegmentMode::active && has_effect(object, m.datas[i])) {
          mark_data(object, i);
        }
      }
    }
  }

  void run() {
    while (!work_.empty()) {
      const Work next = work_.back();
      work_.pop_back();
      visit(next);
    }
  }

 private:
  struct Work {
    ExternKind kind;
    Ref ref;
  };

  void mark(ExternKind kind, u32 object, u64 index) {
    const Ref ref = symbols_.target(kind, object, static_cast<u32>(index));
    if (kind == ExternKind::memory && ref == Ref{0, 0}) return;  // memory 0 is always there
    auto marks = out_.items[static_cast<u8>(kind)][ref.object].begin() + ref.index;
    if (*marks) return;
    *marks = true;
    work_.push_back({kind, ref});
  }
  void mark_elem(u32 object, u64 index) {
    if (out_.elems[object][index]) return;
    out_.elems[object][index] = true;
    const mod::ElemSegment& segment = objects_[object].module.elems[index];
    if (segment.mode == mod::SegmentMode::active) mark(ExternKind::table, object, segment.table);
    mark(object, segment.offset);
    for (const mod::ConstExpr& item : segment.items) mark(object, item);
  }
  void mark_data(u32 object, u64 index) {
    if (out_.datas[object][index]) return;
    out_.datas[object][index] = true;
    const mod::DataSegment& segment = objects_[object].module.datas[index];
    if (segment.mode == mod::SegmentMode::active) mark(ExternKind::memory, object, segment.memory);
    mark(object, segment.offset);
  }
  void mark(u32 object, const mod::ConstExpr& expr) {
    for (const ConstOp& op : expr) {
      if (op.kind == ConstOp::Kind::global_get) mark(ExternKind::global, object, op.value);
      if (op.kind == ConstOp::Kind::ref_func) mark(ExternKind::function, object, op.value);
    }
  }

  // An active segment has an effect beyond its table or memory when that is somebody else's, or
  // when it may not fit.
  bool has_effect(u32 object, const mod::ElemSegment& segment) const {
    const Ref table = symbols_.target(ExternKind::table, object, segment.table);
    const Object& owner = objects_[table.object];
    if (table.index < owner.imported(ExternKind::table)) return true;
    return !fits(segment.offset, segment.items.size(), owner.table_type(table.index).size.min);
  }
  bool has_effect(u32 object, const mod::DataSegment& segment) const {
    const Ref memory = symbols_.target(ExternKind::memory, object, segment.memory);
    const Object& owner = objects_[memory.object];
    if (memory == Ref{0, 0} || memory.index < owner.imported(ExternKind::memory)) return true;
    const mod::MemoryType& type = owner.memory_type(memory.index);
    return !fits(segment.offset, segment.bytes.size(), type.size.min << type.page_shift);
  }
  static bool fits(const mod::ConstExpr& offset, u64 length, u64 size) {
    return offset.size() == 1 && offset[0].kind == ConstOp::Kind::i32_const &&
           offset[0].value + length <= size;
  }

  void visit(const Work& work) {
    const Object& object = objects_[work.ref.object];
    const u32 imported = object.imported(work.kind);
    const bool is_import = work.ref.index < imported;
    const u32 own = work.ref.index - imported;
    switch (work.kind) {
      case ExternKind::function:
        if (!is_import) code(work.ref.object, object.module.functions[own]);
        break;
      case ExternKind::table:
        if (!is_import) mark(work.ref.object, object.module.tables[own].init);
        segments(work);
        break;
      case ExternKind::memory:
        segments(work);
        break;
      case ExternKind::global:
        if (!is_import) mark(work.ref.object, object.module.globals[own].init);
        break;
    }
  }

  // The active segments of a table or memory that is needed.
  void segments(const Work& work) {
    for (u32 object = 0; object < objects_.size(); ++object) {
      const mod::Module& m = objects_[object].module;
      if (work.kind == ExternKind::table) {
        for (u32 i = 0; i < m.elems.size(); ++i) {
          if (m.elems[i].mode == mod::SegmentMode::active &&
              symbols_.target(work.kind, object, m.elems[i].table) == work.ref) {
            mark_elem(object, i);
          }
        }
      } else {
        for (u32 i = 0; i < m.datas.size(); ++i) {
          if (m.datas[i].mode == mod::SegmentMode::active &&
              symbols_.target(work.kind, object, m.datas[i].memory) == work.ref) {
            mark_data(object, i);
          }
        }
      }
    }
  }

  void code(u32 object, const mod::Function& function) {
    const isa::Word* begin = objects_[object].module.code.data() + function.code_begin;
    for (u64 pc = 0; pc < function.code_size; pc += isa::length(begin + pc)) {
      for (const isa::Operand& operand : isa::format_of(isa::op_of(begin[pc])).list()) {
        const u64 index = isa::read_field(begin + pc, operand.field);
        switch (operand.kind) {
          case OperandKind::func:
          case OperandKind::func_import:
          case OperandKind::func_any:
            mark(ExternKind::function, object, index);
            break;
          case OperandKind::global:
            mark(ExternKind::global, object, index);
            break;
          case OperandKind::table:
            mark(ExternKind::table, object, index);
            break;
          case OperandKind::memory:
            mark(ExternKind::memory, object, index);
            break;
          case OperandKind::elem:
            mark_elem(object, index);
            break;
          case OperandKind::data:
            mark_data(object, index);
            break;
          default:
            break;
        }
      }
    }
  }

  const std::vector<Object>& objects_;
  const Symbols& symbols_;
  Needed& out_;
  std::vector<Work> work_;
};

}  // namespace

bool is_kept(const std::vector<std::string>& exports, const std::string& name) {
  return exports.empty() || std::find(exports.begin(), exports.end(), name) != exports.end();
}

Needed find_needed(const std::vector<Object>& objects, const Symbols& symbols,
                   const std::vector<std::string>& exports) {
  Needed needed;
  Marker marker(objects, symbols, needed);
  marker.roots(exports);
  marker.run();
  return needed;
}

}  // namespace atollvm::link
