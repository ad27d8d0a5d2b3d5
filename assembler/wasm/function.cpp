// The pass over one function body: locals, then instructions until the end.
#include "assembler/wasm/function.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "assembler/wasm/reader.hpp"

namespace atollvm::wasm {

FunctionTranslator::FunctionTranslator(Image& image, std::span<const CodeLine> lines)
    : image_(image), out_(image.module), lines_(lines) {}

// --- Failures ---

void FunctionTranslator::fail(base::ErrorCode code, std::string message) {
  if (error_ || !in_.ok()) return;
  error_ = base::Error{
      code, fmt::format("0x{:x} ({})", at_ - image_.bytes.data(), image_.function_label(function_)),
      std::move(message)};
  // Nothing is read any more, so that the pass ends.
  in_.fail("");
}

void FunctionTranslator::invalid(std::string message) {
  fail(base::ErrorCode::invalid, std::move(message));
}

void FunctionTranslator::malformed(const char* message) {
  fail(base::ErrorCode::malformed, message);
}

void FunctionTranslator::unsupported(const char* what, const char* proposal) {
  fail(base::ErrorCode::unsupported,
       fmt::format("{} belongs to {}, which is not supported", what, proposal));
}

void FunctionTranslator::wrong_type(ValType wanted, ValType found) {
  invalid(fmt::format("type mismatch: {} is needed, but the operand is {}", mod::name_of(wanted),
                      mod::name_of(found)));
}

// --- The pass ---

std::optional<base::Error> FunctionTranslator::translate(u32 index) {
  if (!run(index, false)) return std::move(error_);
  // A branch over more than 2^16 words: everything again, with jumps.
  if (emit_.overflow() && !run(index, true)) return std::move(error_);
  out_.functions[index] = emit_.finish(out_, out_.functions[index].type, std::max(frame_, locals_));
  return std::nullopt;
}

bool FunctionTranslator::run(u32 index, bool long_branches) {
  const Body& body = image_.bodies[index];
  const u8* const bytes = image_.bytes.data();
  in_ = Bytes(bytes + body.begin, bytes + body.end);
  at_ = in_.at();
  function_ = image_.imported_functions() + index;
  type_ = &out_.types[out_.functions[index].type];
  stack_.clear();
  control_.clear();
  merged_ = 0;
  high_ = none;
  loops_ = 0;
  tables_ = 0;
  live_ = true;
  if (read_locals()) {
    frame_ = locals_;
    emit_.reset(locals_, long_branches);
    if (heads_.size() < locals_) heads_.resize(locals_, none);
    if (byte_in_.size() < locals_) byte_in_.resize(locals_, 0);
    Control& outermost = control_.emplace_back();
    outermost.kind = Block::function;
    outermost.type.results = types_of(type_->results);
    const auto after =
        std::upper_bound(lines_.begin(), lines_.end(), body.begin - image_.code_offset,
                         [](u32 offset, const CodeLine& line) { return offset < line.offset; });
    next_line_ = static_cast<usize>(after - lines_.begin());
    if (next_line_ > 0) --next_line_;
    next_line_at_ = next_line_ < lines_.size() ? bytes : nullptr;
    while (!control_.empty() && in_.ok()) {
      at_ = in_.at();
      if (at_ >= next_line_at_ && next_line_at_ != nullptr) [[unlikely]]
        add_lines();
      instruction(in_.byte());
    }
  }
  if (in_.ok() && in_.left() != 0) {
    at_ = in_.at();
    malformed("the code goes on after the function's end");
  }
  if (!error_ && !in_.ok()) {
    error_ = base::Error{
        base::ErrorCode::malformed,
        fmt::format("0x{:x} ({})", in_.failed_at() - bytes, image_.function_label(function_)),
        in_.failure()};
  }
  return !error_;
}

// The line of the instruction at at_ goes to what is written next.
void FunctionTranslator::add_lines() {
  const u32 offset = static_cast<u32>(at_ - image_.bytes.data()) - image_.code_offset;
  if (lines_[next_line_].offset > offset) {
    next_line_at_ = image_.bytes.data() + image_.code_offset + lines_[next_line_].offset;
    return;
  }
  while (next_line_ + 1 < lines_.size() && lines_[next_line_ + 1].offset <= offset) ++next_line_;
  const CodeLine& line = lines_[next_line_++];
  next_line_at_ = next_line_ < lines_.size()
                      ? image_.bytes.data() + image_.code_offset + lines_[next_line_].offset
                      : nullptr;
  if (line.line == 0) return;
  // Instructions may have been taken back.
  while (!emit_.lines().empty() && emit_.lines().back().pc >= emit_.here()) {
    emit_.lines().pop_back();
  }
  emit_.lines().push_back({emit_.here(), line.file, line.line, line.column});
}

bool FunctionTranslator::read_value_type(ValType& type) {
  const u8 byte = in_.byte();
  if (!in_.ok()) return false;
  type = static_cast<ValType>(byte);
  if ((byte >= 0x7c && byte <= 0x7f) || byte == 0x70 || byte == 0x6f) return true;
  if (const char* proposal = proposal_of_type(byte)) return unsupported("a type", proposal), false;
  return malformed("unknown value type"), false;
}

bool FunctionTranslator::read_reference_type(ValType& type) {
  const u8 byte = in_.byte();
  if (!in_.ok()) return false;
  type = static_cast<ValType>(byte);
  if (mod::is_reference(type)) return true;
  if (byte < 0x7b) {
    if (const char* proposal = proposal_of_type(byte)) {
      return unsupported("a type", proposal), false;
    }
  }
  return malformed("unknown reference type"), false;
}

// Few locals are looked up directly; a body can declare many with a few bytes.
bool FunctionTranslator::read_locals() {
  const usize direct = in_.left() + type_->params.size();
  local_types_ = type_->params;
  local_runs_.clear();
  u64 total = type_->params.size();
  const u32 runs = in_.leb_u32();
  for (u32 i = 0; i < runs && in_.ok(); ++i) {
    at_ = in_.at();
    const u32 count = in_.leb_u32();
    total += count;
    if (total > std::numeric_limits<u32>::max()) return malformed("too many locals"), false;
    ValType type{};
    if (!read_value_type(type)) return false;
    if (total > Emitter::slot_limit - 2) continue;
    local_runs_.push_back({static_cast<u32>(total), type});
    local_types_.resize(
        std::min<usize>(local_types_.size() + count, std::max<usize>(direct, local_types_.size())),
        type);
  }
  if (!in_.ok()) return false;
  if (total > Emitter::slot_limit - 2) {
    fail(base::ErrorCode::limit,
         fmt::format("{} locals: the largest frame has {} slots", total, Emitter::slot_limit));
    return false;
  }
  locals_ = static_cast<u32>(total);
  return true;
}

ValType FunctionTranslator::local_type(u32 index) {
  if (index < local_types_.size()) [[likely]]
    return local_types_[index];
  if (index >= locals_) {
    invalid(fmt::format("unknown local {}: there are {}", index, locals_));
    return bottom;
  }
  const auto run = std::upper_bound(local_runs_.begin(), local_runs_.end(), index,
                                    [](u32 at, const LocalRun& each) { return at < each.end; });
  return run->type;
}

}  // namespace atollvm::wasm
