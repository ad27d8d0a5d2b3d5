// Small modules that link to a program whose result is known, from entropy: calls, data, pointers
// into data and globals across inputs. They can be spoilt, too: then any answer of the linker that
// keeps its promises is right.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "assembler/link/link.hpp"
#include "assembler/text/assemble.hpp"
#include "tests/support/entropy.hpp"
#include "vm/interp/interp.hpp"
#include "vm/module/codec.hpp"
#include "vm/runtime/process.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm::test {

struct LinkCase {
  std::vector<link::Input> inputs;
  link::Options options;
  std::optional<u32> result;  // of main; nothing when inputs were spoilt
};

class LinkGenerator {
 public:
  explicit LinkGenerator(Entropy entropy) : entropy_(entropy) {}

  // Or an error: what the assembler says of a source that must assemble.
  std::pair<LinkCase, std::string> make() {
    LinkCase made;
    inputs_.resize(1 + entropy_.below(4));
    for (Part& part : inputs_) {
      part.words = {number(), number()};
      part.global = number();
    }
    const u32 functions = 1 + entropy_.below(8);
    for (u32 i = 0; i < functions; ++i) add_function(i);
    const u32 home = entropy_.below(size());
    inputs_[home].body +=
        "export func main() -> i32 { ret (call " + callee(home, functions - 1) + "(7)) }\n";
    made.result = values_.back() + 7;
    for (u32 i = 0; i < size(); ++i) {
      const auto nothing = [](std::string_view, std::string_view, bool) {
        return std::optional<text::Source>();
      };
      text::Options options;
      options.object = true;
      const std::string file = "m" + std::to_string(i);
      text::Assembly assembly = text::assemble({file, source(i)}, nothing, options);
      if (!assembly.ok()) {
        return {{}, text::format(assembly.diagnostics.front(), false) + source(i)};
      }
      made.inputs.push_back({file, std::move(assembly.module)});
    }
    if (entropy_.once_in(2)) made.options.exports = {"main"};
    for (u32 spoilt = entropy_.below(4); spoilt > 1; --spoilt) spoil(made);
    return {std::move(made), {}};
  }

 private:
  struct Part {
    std::vector<u32> words;
    u32 global = 0;
    std::vector<std::string> imports;  // lines, none twice
    std::string body;
  };

  [[nodiscard]] u32 size() const { return static_cast<u32>(inputs_.size()); }
  u32 number() { return entropy_.byte() * 0x0101'0101u; }

  void import(u32 part, const std::string& line) {
    auto& lines = inputs_[part].imports;
    for (const std::string& each : lines) {
      if (each == line) return;
    }
    lines.push_back(line);
  }

  // The name by which `part` calls function `index`, whose imports it gets.
  std::string callee(u32 part, u32 index) {
    std::string name = "f" + std::to_string(index);
    const u32 home = homes_[index];
    if (home == part) return name;
    // By either way, but always by the same for one function.
    if (index % 2 == 0) {
      import(part, "extern func " + name + "(x: i32) -> i32\n");
    } else {
      import(part, "import func " + name + "(x: i32) -> i32 from \"m" + std::to_string(home) +
                       "\" \"" + name + "\"\n");
    }
    return name;
  }

  // Function `index` gives its argument and a number that does not depend on it.
  void add_function(u32 index) {
    const u32 part = entropy_.below(size());
    homes_.push_back(part);
    const std::string own = std::to_string(part);
    u32 value = 0;
    std::string before;
    std::string term;
    switch (entropy_.below(5)) {
      case 0:
        value = number();
        term = std::to_string(value);
        break;
      case 1:
        value = inputs_[part].words[1];
        term = "(i32.load [d" + own + " + 4])";
        break;
      case 2:
        value = inputs_[part].words[0];
        before = "    var p: i32 = (i32.load [d" + own + " + 8])\n";
        term = "(i32.load [p])";
        break;
      case 3: {
        const u32 home = entropy_.below(size());
        const std::string name = "g" + std::to_string(home);
        if (home != part) {
          import(part, "import global " + name + ": i32 from \"m" + std::to_string(home) + "\" \"" +
                           name + "\"\n");
        }
        value = inputs_[home].global;
        term = "(global.get " + name + ")";
        break;
      }
      default:
        if (index == 0) {
          term = "0";
          break;
        }
        const u32 other = entropy_.below(index);
        value = values_[other] + 1;
        term = "(call " + callee(part, other) + "(1))";
    }
    values_.push_back(value);
    inputs_[part].body += "export func f" + std::to_string(index) + "(x: i32) -> i32 {\n" + before +
                          "    var t: i32 = " + term + "\n    ret (i32.add x, t)\n}\n";
  }

  [[nodiscard]] std::string source(u32 index) const {
    const Part& part = inputs_[index];
    const std::string own = std::to_string(index);
    std::string text = "module m" + own + "\n";
    for (const std::string& line : part.imports) text += line;
    text += "export global g" + own + ": i32 = " + std::to_string(part.global) + "\n";
    text += "data d" + own + " = i32 " + std::to_string(part.words[0]) + ", " +
            std::to_string(part.words[1]) + ", i32 d" + own + "\n";
    return text + part.body;
  }

  // Changes a byte of one input's file, or of its relocations.
  void spoil(LinkCase& made) {
    made.result.reset();
    link::Input& input = made.inputs[entropy_.below(size())];
    auto& customs = input.module.customs;
    if (!customs.empty() && !customs[0].bytes.empty() && entropy_.below(2) == 0) {
      std::string& bytes = customs[0].bytes;
      bytes[entropy_.below(static_cast<u32>(bytes.size()))] = static_cast<char>(entropy_.byte());
      return;
    }
    std::string file = mod::write(input.module);
    file[entropy_.below(static_cast<u32>(file.size()))] ^=
        static_cast<char>(1 + entropy_.below(255));
    auto changed = mod::read({reinterpret_cast<const u8*>(file.data()), file.size()});
    if (changed.ok()) input.module = std::move(*changed);
  }

  Entropy entropy_;
  std::vector<Part> inputs_;
  std::vector<u32> homes_;   // of functions
  std::vector<u32> values_;  // what functions add
};

// What is wrong with the linker's answer; empty if nothing.
inline std::string check_link(const LinkCase& test) {
  auto made = link::link(test.inputs, test.options);
  const auto again = link::link(test.inputs, test.options);
  if (made.ok() != again.ok()) return "the second time it was different";
  if (!made.ok()) {
    if (test.result) return "refused: " + made.error().text();
    return made.error().message.empty() ? "an error without a message" : "";
  }
  if (mod::write(*made) != mod::write(*again)) return "other bytes the second time";
  auto verified = verify::verify(std::move(*made));
  if (!verified.ok()) return "not valid: " + verified.error().text();
  if (!test.result) return {};

  auto program = runtime::Program::make(std::move(*verified));
  const auto main = program->find_export("main", mod::ExternKind::function);
  if (!main) return "no main";
  auto process = runtime::Process::create(program, {});
  if (!process.ok()) return process.error().text();
  if (!(*process)->prepare(*main, {}).ok()) return "main has another type";
  const runtime::Outcome outcome = interp::run(**process);
  if (outcome.kind != runtime::Outcome::Kind::finished) return "main does not finish";
  const u64 result = (*process)->results()[0];
  if (result == *test.result) return {};
  return "main gives " + std::to_string(result) + ", not " + std::to_string(*test.result);
}

}  // namespace atollvm::test
