#include "ruby.hpp"

#include <optional>

namespace {

using atollvm::Error;
using atollvm::ErrorCode;

// What the guest calls a Ruby object: the number behind a handle.
struct Resource : atollvm::HostObject {
  explicit Resource(std::uint32_t value) : representation(value) {}
  std::uint32_t representation;
};

Error broken(std::string what) { return {ErrorCode::invalid, "ruby", std::move(what)}; }

// The type of an import from how ImportInfo writes it: "(i32, f64) -> i32".
atollvm::FunctionType function_type(std::string_view text) {
  using atollvm::ValueType;
  atollvm::FunctionType type;
  const std::size_t arrow = text.find("->");
  for (std::size_t i = 0; i + 3 <= text.size(); ++i) {
    for (const ValueType each : {ValueType::i32, ValueType::i64, ValueType::f32, ValueType::f64}) {
      if (text.substr(i, 3) == to_text(each)) {
        (i < arrow ? type.parameters : type.results).push_back(each);
      }
    }
  }
  return type;
}

// Handles of Ruby's objects are handles of the process. All that remains of what the module imports
// from these two is the way to JavaScript, which there is none of here.
atollvm::Imports imports_of(const atollvm::Module& module) {
  atollvm::Imports imports;
  for (const atollvm::ImportInfo& each : module.info().imports) {
    if (each.kind != atollvm::ExternKind::function) continue;
    if (each.module != "rb-js-abi-host" && each.module != "canonical_abi") continue;
    const std::string function = each.name.substr(0, each.name.find(':'));
    imports.define(each.module, each.name, function_type(each.type),
                   [function](atollvm::Caller& caller, std::uint64_t*) {
                     return caller.fail("the script needs JavaScript (" + function +
                                        "), which this host has not");
                   });
  }
  imports
      .define("canonical_abi", "resource_new_rb-abi-value",
              [](atollvm::Caller& caller, std::uint32_t representation) {
                return caller.insert(std::make_shared<Resource>(representation));
              })
      .define("canonical_abi", "resource_get_rb-abi-value",
              [](const std::shared_ptr<Resource>& resource) { return resource->representation; });
  return imports;
}

}  // namespace

// --- Values --------------------------------------------------------------------------------------

RubyValue::RubyValue(RubyValue&& other) noexcept
    : ruby_(std::exchange(other.ruby_, nullptr)), handle_(other.handle_) {}

RubyValue& RubyValue::operator=(RubyValue&& other) noexcept {
  std::swap(ruby_, other.ruby_);
  std::swap(handle_, other.handle_);
  return *this;
}

RubyValue::~RubyValue() {
  if (ruby_ != nullptr) ruby_->drop(handle_);
}

void Ruby::drop(std::uint32_t handle) {
  const auto resource = process_.object<Resource>(handle);
  if (resource == nullptr || !process_.close(handle)) return;
  const auto free = process_.function<void(std::uint32_t)>("canonical_abi_drop_rb-abi-value");
  // A Ruby that has ended needs nothing freed.
  if (free && (*free)(resource->representation)) return;
}

// --- Calls ---------------------------------------------------------------------------------------

template <class Signature>
atollvm::Result<atollvm::Function<Signature>> Ruby::find(std::string_view name) const {
  for (const std::string& each : exports_) {
    if (each.starts_with(name) && each.substr(name.size()).starts_with(": func(")) {
      return process_.function<Signature>(each);
    }
  }
  return process_.function<Signature>(name);
}

atollvm::Result<std::unique_ptr<Ruby>> Ruby::start(const atollvm::Engine& engine,
                                                   const atollvm::Module& module,
                                                   atollvm::ProcessOptions options,
                                                   std::span<const std::string> arguments) {
  options.imports = imports_of(module);
  auto process = atollvm::Process::create(engine, module, options);
  if (!process) return std::move(process).error();
  std::unique_ptr<Ruby> ruby(new Ruby(std::move(*process)));
  for (const atollvm::ExportInfo& each : module.info().exports) ruby->exports_.push_back(each.name);

  const auto list = ruby->allocate(4, 8 * arguments.size());
  if (!list) return list.error();
  std::uint32_t at = *list;
  for (const std::string& each : arguments) {
    const auto text = ruby->copy_in(each);
    if (!text) return text.error();
    const atollvm::Memory memory = ruby->process_.memory();
    if (!memory.store(at, text->address) || !memory.store(at + 4, text->size)) {
      return broken("cabi_realloc gave no memory");
    }
    at += 8;
  }
  const auto init = ruby->find<void(std::uint32_t, std::uint32_t)>("ruby-init");
  if (!init) return init.error();
  const auto done = (*init)(*list, static_cast<std::uint32_t>(arguments.size()));
  if (!done) return done.error();
  return ruby;
}

atollvm::Result<std::uint32_t> Ruby::allocate(std::uint32_t align, std::uint64_t size) {
  using Realloc = std::uint32_t(std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t);
  const auto realloc = process_.function<Realloc>("cabi_realloc");
  if (!realloc) return realloc.error();
  if (size > 0xffff'ffff) return Error{ErrorCode::limit, "ruby", "too large for it"};
  return (*realloc)(0, 0, align, static_cast<std::uint32_t>(size));
}

atollvm::Result<Ruby::Text> Ruby::copy_in(std::string_view text) {
  const auto block = allocate(1, text.size() + 1);
  if (!block) return block.error();
  if (!process_.memory().write(*block, text) ||
      !process_.memory().store(*block + text.size(), '\0')) {
    return broken("cabi_realloc gave no memory");
  }
  return Text{*block, static_cast<std::uint32_t>(text.size() + 1)};
}

atollvm::Result<Ruby::Result> Ruby::take(std::uint32_t address) {
  const auto handle = process_.memory().load<std::uint32_t>(address);
  const auto state = process_.memory().load<std::int32_t>(address + 4);
  if (!handle || !state) return broken("a result outside its memory");
  if (*state == 0) return Result{RubyValue(*this, *handle), false};
  const RubyValue nothing(*this, *handle);
  const auto error = find<std::uint32_t()>("rb-errinfo");
  const auto clear = find<void()>("rb-clear-errinfo");
  if (!error) return error.error();
  if (!clear) return clear.error();
  const auto exception = (*error)();
  if (!exception) return exception.error();
  Result raised{RubyValue(*this, *exception), true};
  if (const auto cleared = (*clear)(); !cleared) return cleared.error();
  return raised;
}

atollvm::Result<Ruby::Result> Ruby::eval(std::string_view source) {
  const auto text = copy_in(source);
  if (!text) return text.error();
  const auto eval = find<std::uint32_t(std::uint32_t, std::uint32_t)>("rb-eval-string-protect");
  if (!eval) return eval.error();
  const auto result = (*eval)(text->address, text->size);
  if (!result) return result.error();
  return take(*result);
}

atollvm::Result<Ruby::Result> Ruby::call(const RubyValue& receiver, std::string_view method,
                                         std::span<const RubyValue* const> arguments) {
  using Call = std::uint32_t(std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t);
  const auto intern = find<std::uint32_t(std::uint32_t, std::uint32_t)>("rb-intern");
  const auto call = find<Call>("rb-funcallv-protect");
  if (!intern) return intern.error();
  if (!call) return call.error();
  const auto name = copy_in(method);
  if (!name) return name.error();
  const auto symbol = (*intern)(name->address, name->size);
  if (!symbol) return symbol.error();
  const auto list = allocate(4, 4 * arguments.size());
  if (!list) return list.error();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!process_.memory().store(*list + 4 * i, arguments[i]->handle_)) {
      return broken("cabi_realloc gave no memory");
    }
  }
  const auto result =
      (*call)(receiver.handle_, *symbol, *list, static_cast<std::uint32_t>(arguments.size()));
  if (!result) return result.error();
  return take(*result);
}

atollvm::Result<std::string> Ruby::bytes(const RubyValue& string) {
  const auto pointer = find<std::uint32_t(std::uint32_t)>("rstring-ptr");
  const auto post = process_.function<void(std::uint32_t)>("cabi_post_rstring-ptr");
  if (!pointer) return pointer.error();
  if (!post) return post.error();
  const auto pair = (*pointer)(string.handle_);
  if (!pair) return pair.error();
  const atollvm::Memory memory = process_.memory();
  const auto address = memory.load<std::uint32_t>(*pair);
  const auto length = memory.load<std::uint32_t>(*pair + 4);
  const auto found = address && length ? memory.text(*address, *length) : std::nullopt;
  if (!found) return broken("text outside its memory");
  std::string copy(*found);
  if (const auto freed = (*post)(*pair); !freed) return freed.error();
  return copy;
}

atollvm::Result<Ruby::Result> Ruby::string(std::string_view bytes) {
  // As a literal, as it exports nothing that makes one.
  static constexpr char digits[] = "0123456789abcdef";
  std::string source = "\"";
  for (const char each : bytes) {
    const auto byte = static_cast<unsigned char>(each);
    source += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
  return eval(source + "\"");
}
