// A chat whose commands are plugins: bot DIRECTORY <CHAT
// A line `ann: !dice 2d6` asks the plugin dice.atb or dice.wasm of the directory to answer "2d6".
#include "../08-host/plugin.hpp"

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>

namespace {

using Plugins = std::map<std::string, Plugin>;

// Starts all plugins of a directory; one that can't be started is left out.
Plugins start_all(const atollvm::Engine& engine, const std::string& directory, Chat& chat) {
  Plugins plugins;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().stem(), kind = entry.path().extension();
    if (kind != ".atb" && kind != ".wasm") continue;
    auto plugin = Plugin::start(engine, entry.path(), chat);
    if (!plugin) {
      std::printf("(%s was left out: %s)\n", name.c_str(), plugin.error().text().c_str());
      continue;
    }
    plugins.emplace(name, std::move(*plugin));
  }
  return plugins;
}

// What a plugin says may be anything, also what a terminal obeys.
std::string printable(std::string text) {
  for (char& each : text) {
    if (each < ' ' || each > '~') each = '?';
  }
  return text;
}

// Lets the plugin of that name answer. One that does wrong is taken out, and the others go on.
void command(Plugins& plugins, Chat& chat, const std::string& person, const std::string& name,
             const std::string& message) {
  const auto found = plugins.find(name);
  if (found == plugins.end()) {
    std::printf("(there is no !%s)\n", name.c_str());
    return;
  }
  const auto answer = found->second.answer(chat.person(person), message);
  if (answer) {
    std::printf("%s: %s\n", name.c_str(), printable(*answer).c_str());
  } else {
    std::printf("(%s was taken out: %s)\n", name.c_str(), answer.error().text().c_str());
    plugins.erase(found);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: bot DIRECTORY <CHAT\n", stderr);
    return 2;
  }
  const atollvm::Engine engine;
  Chat chat;
  Plugins plugins = start_all(engine, arguments[1], chat);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::printf("%s\n", printable(line).c_str());
    const auto mark = line.find(": !");
    if (mark == std::string::npos) continue;
    const auto name_end = line.find(' ', mark + 3);
    const std::string message = name_end == std::string::npos ? "" : line.substr(name_end + 1);
    command(plugins, chat, line.substr(0, mark), line.substr(mark + 3, name_end - mark - 3),
            message);
  }
}
