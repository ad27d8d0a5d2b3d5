// A plugin of the chat, in a process of its own.
#pragma once

#include "chat.hpp"

#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

class Plugin {
 public:
  // Loads a module file or WebAssembly, and makes a process of it with what `chat` lets it do.
  static atollvm::Result<Plugin> start(const atollvm::Engine& engine, const std::string& path,
                                       Chat& chat);

  // Its answer to a message of less than 1024 bytes. After an error it gives no more answers.
  atollvm::Result<std::string> answer(const std::shared_ptr<Person>& speaker,
                                      std::string_view message);

 private:
  using Buffer = atollvm::Function<std::uint32_t()>;
  using Answer = atollvm::Function<std::uint32_t(std::uint32_t)>;
  Plugin(atollvm::Process process, Buffer buffer, Answer answer,
         std::shared_ptr<std::uint32_t> speaker)
      : process_(std::move(process)),
        buffer_(buffer),
        answer_(answer),
        speaker_(std::move(speaker)) {}
  atollvm::Result<std::string> exchange(std::string_view message);

  atollvm::Process process_;
  Buffer buffer_;
  Answer answer_;
  std::shared_ptr<std::uint32_t> speaker_;
};
