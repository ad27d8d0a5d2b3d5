// Judges records by rules that may change meanwhile: rules DIRECTORY
//
// Standard input has a record a line, `name=value name=value ...`; each gets a line with the points
// that the rules of DIRECTORY give it. Before each record, and at once on SIGHUP, what has changed
// in the directory is taken over; SIGHUP also gives rules that are switched off another chance.
// Messages begin with "# ".
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rules.hpp"

namespace {

volatile std::sig_atomic_t asked = 0;
void on_hangup(int) { asked = 1; }

constexpr std::size_t most_line = 64 << 10;  // bytes; what is longer is cut

// Lines of standard input; SIGHUP comes in between.
class Input {
 public:
  // The next line; nothing: the end. `idle` is called before waiting goes on after a signal.
  template <class F>
  std::optional<std::string> line(F idle) {
    for (;;) {
      const std::size_t end = waiting_.find('\n');
      if (end != std::string::npos || waiting_.size() > most_line) {
        std::string found = waiting_.substr(0, std::min(end, most_line));
        waiting_.erase(0, end == std::string::npos ? waiting_.size() : end + 1);
        return found;
      }
      char part[4096];
      idle();
      const ssize_t got = read_part(part, sizeof part);
      if (got < 0) continue;
      if (got == 0) {
        if (waiting_.empty()) return std::nullopt;
        return std::exchange(waiting_, {});
      }
      waiting_.append(part, static_cast<std::size_t>(got));
    }
  }

 private:
  // As read(2), but -1 when there was a signal. Those are blocked but for the wait itself, so that
  // none is missed.
  static ssize_t read_part(char* part, std::size_t room) {
    sigset_t none;
    sigemptyset(&none);
    pollfd descriptor{0, POLLIN, 0};
    if (asked != 0 || ppoll(&descriptor, 1, nullptr, &none) < 0) return -1;
    return std::max<ssize_t>(read(0, part, room), 0);
  }

  std::string waiting_;
};

Fields parse(std::string_view line) {
  Fields record;
  while (!line.empty()) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(word.size() + 1, line.size()));
    const std::size_t split = word.find('=');
    if (split == std::string_view::npos) continue;
    record.insert_or_assign(std::string(word.substr(0, split)),
                            std::string(word.substr(split + 1)));
  }
  return record;
}

void tell(const std::string& lines) {
  std::string_view rest = lines;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    std::printf("# %.*s\n", static_cast<int>(line.size()), line.data());
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: rules DIRECTORY\n", stderr);
    return 2;
  }
  struct sigaction action{};
  action.sa_handler = on_hangup;
  sigaction(SIGHUP, &action, nullptr);
  sigset_t hangup;
  sigemptyset(&hangup);
  sigaddset(&hangup, SIGHUP);
  sigprocmask(SIG_BLOCK, &hangup, nullptr);

  Rules rules(arguments[1], RuleLimits(), tell);
  rules.refresh(true);
  const auto when_asked = [&rules] {
    if (asked == 0) return;
    asked = 0;
    rules.refresh(true);
  };
  Input input;
  for (int number = 1; auto line = input.line(when_asked); ++number) {
    rules.refresh(false);
    std::int64_t sum = 0;
    std::string text;
    for (const Verdict& each : rules.judge(parse(*line))) {
      sum += each.points;
      text += (text.empty() ? ": " : "; ") + each.rule + ' ' + std::to_string(each.points);
      if (!each.reason.empty()) text += " (" + each.reason + ')';
    }
    std::printf("%d: %lld%s\n", number, static_cast<long long>(sum), text.c_str());
    std::fflush(stdout);
  }
}
