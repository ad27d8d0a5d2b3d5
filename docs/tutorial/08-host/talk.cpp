// Says something to a plugin, several times: talk PLUGIN NAME MESSAGE...
#include "plugin.hpp"

#include <cstdio>

int main(int count, char** arguments) {
  if (count < 4) {
    std::fputs("usage: talk PLUGIN NAME MESSAGE...\n", stderr);
    return 2;
  }
  const atollvm::Engine engine;
  Chat chat;
  auto plugin = Plugin::start(engine, arguments[1], chat);
  if (!plugin) {
    std::fprintf(stderr, "talk: %s\n", plugin.error().text().c_str());
    return 1;
  }
  for (int i = 3; i < count; ++i) {
    const auto answer = plugin->answer(chat.person(arguments[2]), arguments[i]);
    if (!answer) {
      std::fprintf(stderr, "talk: %s\n", answer.error().text().c_str());
      return 1;
    }
    std::printf("%s\n", answer->c_str());
  }
}
