// Asks a plugin for its answer to a message: ask PLUGIN MESSAGE
#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

using atollvm::Error;
using atollvm::ErrorCode;
using atollvm::Result;

// The size of a plugin's buffer, by the contract of chapter 6.
constexpr std::size_t room = 1024;

// The plugin's answer. Nothing that the plugin does harms us: it gets 1 MiB and 100 ms.
Result<std::string> ask(const atollvm::Engine& engine, const std::string& path,
                        const std::string& message) {
  if (message.size() >= room) return Error{ErrorCode::usage, "", "the message is too long"};
  const auto module = atollvm::Module::open(engine, path, atollvm::no_source_files);
  if (!module) return module.error();

  atollvm::ProcessOptions options;
  options.limits.memory_bytes = 1 << 20;
  options.limits.time = std::chrono::milliseconds(100);
  auto process = atollvm::Process::create(engine, *module, options);
  if (!process) return process.error();

  const auto buffer = process->function<std::uint32_t()>("buffer");
  if (!buffer) return buffer.error();
  const auto answer = process->function<std::uint32_t(std::uint32_t)>("answer");
  if (!answer) return answer.error();

  const auto at = (*buffer)();
  if (!at) return at.error();
  if (!process->memory().write(*at, message)) {
    return Error{ErrorCode::denied, "", "its buffer is not in its memory"};
  }
  const auto size = (*answer)(static_cast<std::uint32_t>(message.size()));
  if (!size) return size.error();
  const auto text = process->memory().text(*at, *size);
  if (!text) return Error{ErrorCode::denied, "", "its answer is not in its memory"};
  return std::string(*text);
}

int main(int count, char** arguments) {
  if (count != 3) {
    std::fputs("usage: ask PLUGIN MESSAGE\n", stderr);
    return 2;
  }
  const atollvm::Engine engine;
  const auto answer = ask(engine, arguments[1], arguments[2]);
  if (!answer) {
    std::fprintf(stderr, "ask: %s\n", answer.error().text().c_str());
    return 1;
  }
  std::printf("%s\n", answer->c_str());
}
