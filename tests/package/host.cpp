// A C++ program that embeds Atoll, as a project of its own. Built by package.sh.
#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <cstdio>
#include <string>

struct Total : atollvm::HostObject {
  std::int64_t value = 0;
};

int main() {
  const atollvm::Engine engine;
  auto module = atollvm::Module::assemble(engine, {"guest.atoll", R"(
import func add(total: i32, n: i64) -> i64 from "host" "add"
import func fail() from "host" "fail"
export func sum(total: i32, n: i64) -> i64 {
    var last: i64
    for i: i64 in 0 .. n { call add(total, i) -> last }
    ret last
}
export func fails() { call fail(); ret }
)"},
                                          atollvm::no_source_files);
  if (!module) return std::printf("%s\n", module.error().text().c_str()), 1;
  atollvm::ProcessOptions options;
  options.imports
      .define("host", "add",
              [](const std::shared_ptr<Total>& total, std::int64_t n) { return total->value += n; })
      .define("host", "fail", []() { throw std::runtime_error("thrown across the library"); });
  auto process = atollvm::Process::create(engine, *module, options);
  if (!process) return std::printf("%s\n", process.error().text().c_str()), 1;
  const auto handle = process->insert(std::make_shared<Total>());
  const auto sum = process->function<std::int64_t(std::uint32_t, std::int64_t)>("sum");
  const auto fails = process->function<void()>("fails");
  std::printf("%lld\n", static_cast<long long>((*sum)(*handle, 1000).value()));
  std::printf("%s\n", (*fails)().error().text().c_str());
}
