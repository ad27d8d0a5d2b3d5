// CRuby as a guest: the `ruby+stdlib.wasm` of the npm package @ruby/4.0-wasm-wasi.
//
// That module is a WASI reactor, with its standard library in its own memory. What it exports has
// the types of its interface `rb-abi-guest` in the names, and passes text and lists as the first
// canonical ABI did: addresses in its memory, which the caller takes from `cabi_realloc`. Ruby's
// objects go to the host as handles: for each one the guest calls `resource_new`, and
// `resource_get` whenever it is given one back.
#pragma once

#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

class Ruby;

// A Ruby object that the host holds: Ruby's collector leaves it alone as long. Must not outlive its
// Ruby.
class RubyValue {
 public:
  RubyValue(RubyValue&& other) noexcept;
  RubyValue& operator=(RubyValue&& other) noexcept;
  ~RubyValue();

 private:
  friend class Ruby;
  RubyValue(Ruby& ruby, std::uint32_t handle) : ruby_(&ruby), handle_(handle) {}
  Ruby* ruby_;  // null: moved from
  std::uint32_t handle_;
};

// One Ruby. All errors are those of the process (Error::trapped: a limit was reached, or the
// script asked for JavaScript), after which it can do no more. An exception in Ruby is no error:
// see `raised`. Threads: one at a time.
class Ruby {
 public:
  // Starts Ruby with its command line's arguments, which options that it knows and `-e` may be
  // among. `options` needs no arguments and imports.
  static atollvm::Result<std::unique_ptr<Ruby>> start(const atollvm::Engine& engine,
                                                      const atollvm::Module& module,
                                                      atollvm::ProcessOptions options,
                                                      std::span<const std::string> arguments);
  Ruby(const Ruby&) = delete;
  Ruby& operator=(const Ruby&) = delete;

  // What Ruby code gives, or the exception that it raised.
  struct Result {
    RubyValue value;
    bool raised = false;
  };
  // Evaluates a source at top level, with "eval" as its file.
  atollvm::Result<Result> eval(std::string_view source);
  // receiver.method(*arguments)
  atollvm::Result<Result> call(const RubyValue& receiver, std::string_view method,
                               std::span<const RubyValue* const> arguments = {});
  // The bytes of a value, which must be a String.
  atollvm::Result<std::string> bytes(const RubyValue& string);
  // A Ruby String of these bytes, of encoding UTF-8.
  atollvm::Result<Result> string(std::string_view bytes);

  [[nodiscard]] const atollvm::Process& process() const { return process_; }

 private:
  friend class RubyValue;
  explicit Ruby(atollvm::Process process) : process_(std::move(process)) {}
  // A block of guest memory. The guest frees what it is given.
  atollvm::Result<std::uint32_t> allocate(std::uint32_t align, std::uint64_t size);
  // Text in guest memory. Ruby's C functions want a zero at its end, which counts.
  struct Text {
    std::uint32_t address;
    std::uint32_t size;
  };
  atollvm::Result<Text> copy_in(std::string_view text);
  // An export, found by the part of its name before the colon.
  template <class Signature>
  atollvm::Result<atollvm::Function<Signature>> find(std::string_view name) const;
  // What stands at `address`: a handle and whether it went well.
  atollvm::Result<Result> take(std::uint32_t address);
  void drop(std::uint32_t handle);

  atollvm::Process process_;
  std::vector<std::string> exports_;
};
