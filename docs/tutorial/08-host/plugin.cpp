#include "plugin.hpp"

#include <chrono>
#include <utility>

using atollvm::Error;
using atollvm::ErrorCode;
using atollvm::Result;

Result<Plugin> Plugin::start(const atollvm::Engine& engine, const std::string& path, Chat& chat) {
  const auto module = atollvm::Module::open(engine, path, atollvm::no_source_files);
  if (!module) return module.error();

  const auto speaker = std::make_shared<std::uint32_t>(0);
  atollvm::ProcessOptions options;
  options.imports = chat.imports(speaker);
  options.limits.memory_bytes = 1 << 20;
  options.limits.stack_bytes = 64 << 10;
  options.limits.handles = 16;
  options.limits.time = std::chrono::milliseconds(100);
  auto process = atollvm::Process::create(engine, *module, options);
  if (!process) return process.error();
  const auto buffer = process->function<std::uint32_t()>("buffer");
  if (!buffer) return buffer.error();
  const auto answer = process->function<std::uint32_t(std::uint32_t)>("answer");
  if (!answer) return answer.error();
  return Plugin(std::move(*process), *buffer, *answer, speaker);
}

Result<std::string> Plugin::answer(const std::shared_ptr<Person>& speaker,
                                   std::string_view message) {
  if (message.size() >= 1024) return Error{ErrorCode::usage, "", "the message is too long"};
  const auto handle = process_.insert(speaker);
  if (!handle) return handle.error();
  *speaker_ = *handle;
  auto result = exchange(message);
  process_.revoke(speaker);
  return result;
}

Result<std::string> Plugin::exchange(std::string_view message) {
  const auto at = buffer_();
  if (!at) return at.error();
  if (!process_.memory().write(*at, message)) {
    return Error{ErrorCode::denied, "", "its buffer is not in its memory"};
  }
  const auto size = answer_(static_cast<std::uint32_t>(message.size()));
  if (!size) return size.error();
  const auto text = process_.memory().text(*at, *size);
  if (!text || *size > 1024) return Error{ErrorCode::denied, "", "its answer is not in its buffer"};
  return std::string(*text);
}
