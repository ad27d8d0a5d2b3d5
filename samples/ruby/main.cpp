// Runs Ruby scripts, sandboxed:
//   ruby_host [--ruby FILE.wasm] [--dir HOST[::GUEST]] [--time MS] [--memory MIB] [--stats]
//             (-e SCRIPT | FILE.rb)... [-- ARGUMENT...]
// All scripts run one after another in one Ruby. They have the arguments (ARGV), the standard
// streams, and the directories that --dir gives, and nothing else. Exit code: what the script says
// (`exit 3`), 1 after an uncaught exception, 2 when nothing could be run, 3 when it was stopped.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ruby.hpp"

namespace {

constexpr int unusable = 2;
constexpr int stopped = 3;

struct Script {
  std::string name;
  std::string source;
};

struct Command {
  std::string ruby;
  std::vector<Script> scripts;
  std::vector<std::string> arguments;
  atollvm::ProcessOptions options;
  bool stats = false;
};

std::optional<std::string> read(const std::string& file) {
  std::ifstream input(file, std::ios::binary);
  if (!input) return std::nullopt;
  return std::string{std::istreambuf_iterator<char>(input), {}};
}

std::optional<std::uint64_t> number(const std::string& text) {
  const auto value = atollvm::parse_value(atollvm::ValueType::i64, text);
  if (!value || value->bits == 0 || value->bits > 1'000'000'000) return std::nullopt;
  return value->bits;
}

std::optional<Command> parse(int count, char** arguments) {
  Command command;
  if (const char* ruby = std::getenv("RUBY_WASM")) command.ruby = ruby;
  command.options.input = 0;
  command.options.output = 1;
  command.options.error = 2;
  command.options.limits.stack_bytes = 16 << 20;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--") {
      command.arguments.assign(arguments + i + 1, arguments + count);
      break;
    }
    if (argument == "--stats") {
      command.stats = true;
      continue;
    }
    if (!argument.starts_with('-')) {
      auto source = read(argument);
      if (!source) {
        std::fprintf(stderr, "ruby_host: %s: can't be read\n", argument.c_str());
        return std::nullopt;
      }
      command.scripts.push_back({argument, std::move(*source)});
      continue;
    }
    if (++i == count) return std::nullopt;
    const std::string value = arguments[i];
    if (argument == "-e") {
      command.scripts.push_back({"-e", value});
    } else if (argument == "--ruby") {
      command.ruby = value;
    } else if (argument == "--dir") {
      const std::size_t split = value.find("::");
      const std::string host = value.substr(0, split);
      command.options.directories.push_back(
          {host, split == std::string::npos ? host : value.substr(split + 2), true});
    } else if (const auto amount = number(value); amount && argument == "--time") {
      command.options.limits.time = std::chrono::milliseconds(*amount);
    } else if (amount && argument == "--memory") {
      command.options.limits.memory_bytes = *amount << 20;
    } else {
      return std::nullopt;
    }
  }
  if (command.scripts.empty() || command.ruby.empty()) return std::nullopt;
  return command;
}

// What runs scripts in Ruby: an array of functions.
//  [0] runs a script under its name
//  [1] gives an exception's exit code, as text
//  [2] what to print of it: nothing for `exit`
//  [3] runs what `at_exit` was given, the newest first, and empties the buffers of the streams
constexpr char prelude[] = R"ruby(
blocks = []
Kernel.define_method(:at_exit) { |&block| blocks.push(block) && block }
Kernel.singleton_class.define_method(:at_exit) { |&block| blocks.push(block) && block }
[
  lambda do |name, source|
    $0 = name
    RubyVM::InstructionSequence.compile(source, name, name).eval
  end,
  ->(error) { (SystemExit === error ? error.status : 1).to_s },
  lambda do |error|
    next "" if SystemExit === error
    each = error
    while each  # not the frames of these functions
      each.set_backtrace(each.backtrace.to_a.reject { _1.start_with?("<ruby_host>") })
      each = each.cause
    end
    # Of a script that can't be compiled there are no others.
    next error.detailed_message(highlight: false) + "\n" if error.backtrace.empty?
    error.full_message(highlight: false)
  end,
  lambda do
    while (block = blocks.pop)
      block.call
    end
  ensure
    $stdout.flush
    $stderr.flush
  end,
]
)ruby";

// Runs the scripts; the host's side of the prelude.
class Runner {
 public:
  static atollvm::Result<int> run(Ruby& ruby, const std::vector<Script>& scripts) {
    Runner runner(ruby);
    if (auto ready = runner.set_up(); !ready) return ready.error();
    int code = 0;
    for (const Script& each : scripts) {
      const auto name = ruby.string(each.name);
      if (!name) return name.error();
      const auto source = ruby.string(each.source);
      if (!source) return source.error();
      const auto ended = runner.call(0, {&name->value, &source->value});
      if (!ended) return ended.error();
      if ((code = *ended) != 0) break;
    }
    const auto ended = runner.call(3, {});
    if (!ended) return ended.error();
    return *ended != 0 ? *ended : code;
  }

 private:
  explicit Runner(Ruby& ruby) : ruby_(ruby) {}

  atollvm::Result<int> set_up() {
    const auto file = ruby_.string("<ruby_host>");
    if (!file) return file.error();
    const auto source = ruby_.string(prelude);
    if (!source) return source.error();
    const auto main = ruby_.eval("RubyVM::InstructionSequence");
    if (!main) return main.error();
    const std::vector<const RubyValue*> arguments{&source->value, &file->value};
    const auto compiled = ruby_.call(main->value, "compile", arguments);
    if (!compiled) return compiled.error();
    auto functions = ruby_.call(compiled->value, "eval");
    if (!functions) return functions.error();
    if (functions->raised) {
      return atollvm::Error{atollvm::ErrorCode::unsupported, "ruby", "another version"};
    }
    for (int i = 0; i < 4; ++i) {
      auto function = ruby_.call(functions->value, "shift");
      if (!function) return function.error();
      functions_.push_back(std::move(function->value));
    }
    return 0;
  }

  // Calls a function of the prelude; prints an exception. Gives the exit code.
  atollvm::Result<int> call(std::size_t function, std::vector<const RubyValue*> arguments) {
    const auto result = ruby_.call(functions_[function], "call", arguments);
    if (!result) return result.error();
    if (!result->raised) return 0;
    const auto text = describe(2, result->value);
    if (!text) return text.error();
    std::fwrite(text->data(), 1, text->size(), stderr);
    const auto code = describe(1, result->value);
    if (!code) return code.error();
    return static_cast<int>(number(*code).value_or(0));
  }

  // What a function of the prelude says about an exception.
  atollvm::Result<std::string> describe(std::size_t function, const RubyValue& error) {
    const std::vector<const RubyValue*> arguments{&error};
    const auto text = ruby_.call(functions_[function], "call", arguments);
    if (!text) return text.error();
    if (text->raised) return std::string("an exception whose message raises one\n");
    return ruby_.bytes(text->value);
  }

  Ruby& ruby_;
  std::vector<RubyValue> functions_;
};

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

int run(const Command& command) {
  const Clock::time_point begin = Clock::now();
  const atollvm::Engine engine;
  const auto module = atollvm::Module::open(engine, command.ruby);
  if (!module) {
    std::fprintf(stderr, "ruby_host: %s\n", module.error().text().c_str());
    return unusable;
  }
  const double loaded = seconds_since(begin);
  std::vector<std::string> arguments{"ruby", "-EUTF-8", "-e_=0", "--"};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  const auto ruby = Ruby::start(engine, *module, command.options, arguments);
  if (!ruby) {
    std::fprintf(stderr, "ruby_host: not started: %s\n", ruby.error().text().c_str());
    return ruby.error().code == atollvm::ErrorCode::trapped ? stopped : unusable;
  }
  const double started = seconds_since(begin);
  const auto code = Runner::run(**ruby, command.scripts);
  if (!code) std::fprintf(stderr, "ruby_host: stopped: %s\n", code.error().text().c_str());
  if (command.stats) {
    std::fprintf(stderr, "loaded %.3f s, started %.3f s, run %.3f s, memory %.1f MiB\n", loaded,
                 started - loaded, seconds_since(begin) - started,
                 static_cast<double>((*ruby)->process().stats().memory_bytes) / (1 << 20));
  }
  return code ? *code : stopped;
}

}  // namespace

int main(int count, char** arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto command = parse(count, arguments);
  if (!command) {
    std::fputs(
        "usage: ruby_host [--ruby FILE.wasm] [--dir HOST[::GUEST]] [--time MS] [--memory MIB]\n"
        "                 [--stats] (-e SCRIPT | FILE.rb)... [-- ARGUMENT...]\n"
        "Ruby itself is --ruby's file, or the variable RUBY_WASM's.\n",
        stderr);
    return unusable;
  }
  return run(*command);
}
