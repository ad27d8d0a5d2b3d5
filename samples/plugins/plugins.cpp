// A program with plugins that it does not trust: plugins FILE...
//
// A plugin is a module that exports `on_order(count: i32, cents: i64) -> i64`, a price. It may
// import from "shop":
//   log(p: i32, n: i32) -> i32                a line for the shop's log; 0
//   note(p: i32, n: i32, value: i64) -> i32   keeps a number under a name, for this plugin; 0
//   recall(p: i32, n: i32) -> i64             that number, 0 if there is none
//   discount(coupon: i32) -> i32              percent of a coupon, which is a handle
//   coupon() -> i32                           the handle of the plugin's one coupon
//   history() -> i32                          calls the plugin's export `on_past(cents: i64)` for
//                                             each price that it asked before; their number
// Whatever a plugin does, the shop goes on with the others, and with its own books in order.
#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

struct Coupon : atollvm::HostObject {
  explicit Coupon(int all) : percent(all) {}
  int percent;
};

// What the shop keeps for one plugin.
struct Plugin {
  std::string name;
  std::map<std::string, std::int64_t, std::less<>> notes;
  std::size_t logged = 0;            // bytes
  std::vector<std::int64_t> prices;  // that it asked
  std::uint32_t coupon = 0;
};

constexpr std::size_t most_logged = 60;
constexpr std::size_t most_notes = 100;

atollvm::Error refused(std::string why) {
  return {atollvm::ErrorCode::denied, "shop", std::move(why)};
}

atollvm::Imports shop_for(Plugin& plugin) {
  using atollvm::Result;
  atollvm::Imports imports;
  imports
      .define("shop", "log",
              [&plugin](std::string_view text) -> Result<std::int32_t> {
                if ((plugin.logged += text.size()) > most_logged) {
                  return refused("it logs too much");
                }
                std::string line;  // what a guest says may be anything
                for (const char each : text) line += each >= ' ' && each <= '~' ? each : '?';
                std::printf("  %s: %s\n", plugin.name.c_str(), line.c_str());
                return 0;
              })
      .define("shop", "note",
              [&plugin](std::string_view name, std::int64_t value) -> Result<std::int32_t> {
                if (name.size() > 100 || plugin.notes.size() >= most_notes) {
                  return refused("it keeps too much");
                }
                plugin.notes.insert_or_assign(std::string(name), value);
                return 0;
              })
      .define("shop", "recall",
              [&plugin](std::string_view name) {
                const auto found = plugin.notes.find(name);
                return found == plugin.notes.end() ? std::int64_t{0} : found->second;
              })
      .define("shop", "history",
              [&plugin](atollvm::Caller& caller) -> Result<std::int32_t> {
                const auto on_past = caller.function<void(std::int64_t)>("on_past");
                if (!on_past) return on_past.error();
                for (const std::int64_t cents : plugin.prices) {
                  if (!(*on_past)(cents)) return refused("its on_past did not come back");
                }
                return static_cast<std::int32_t>(plugin.prices.size());
              })
      .define("shop", "coupon", [&plugin] { return plugin.coupon; })
      .define("shop", "discount",
              [](const std::shared_ptr<Coupon>& coupon) { return coupon->percent; });
  return imports;
}

// Asks one plugin for the price of each order; says what became of it.
void ask(const atollvm::Engine& engine, const std::string& file) {
  Plugin plugin;
  plugin.name = file.substr(file.find_last_of('/') + 1);
  auto module = atollvm::Module::open(engine, file, atollvm::no_source_files);
  if (!module) {
    std::printf("not loaded: %s\n", module.error().text().c_str());
    return;
  }
  atollvm::ProcessOptions options;
  options.imports = shop_for(plugin);
  options.limits.memory_bytes = 1 << 20;
  options.limits.stack_bytes = 64 << 10;
  options.limits.handles = 16;
  options.limits.time = std::chrono::milliseconds(50);
  auto process = atollvm::Process::create(engine, *module, options);
  if (!process) {
    std::printf("%s: not started: %s\n", plugin.name.c_str(), process.error().text().c_str());
    return;
  }
  plugin.coupon = process->insert(std::make_shared<Coupon>(10)).value();
  const auto on_order = process->function<std::int64_t(std::int32_t, std::int64_t)>("on_order");
  if (!on_order) {
    std::printf("%s: no plugin: %s\n", plugin.name.c_str(), on_order.error().text().c_str());
    return;
  }
  struct Order {
    std::int32_t count;
    std::int64_t cents;
  };
  for (const Order& order : {Order{1, 500}, Order{12, 500}, Order{3, 99}}) {
    const auto price = (*on_order)(order.count, order.cents);
    if (!price) {
      std::printf("%s: stopped: %s\n", plugin.name.c_str(), price.error().text().c_str());
      return;
    }
    plugin.prices.push_back(*price);
    std::printf("%s: %d for %lld\n", plugin.name.c_str(), order.count,
                static_cast<long long>(*price));
  }
}

}  // namespace

int main(int count, char** arguments) {
  const atollvm::Engine engine;
  for (int i = 1; i < count; ++i) ask(engine, arguments[i]);
  std::puts("the shop is open");
}
