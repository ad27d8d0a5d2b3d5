// Names are global and nothing shadows them, so the tokens say what needs what: an item needs those
// whose names stand in it.
#include "assembler/text/leave_out.hpp"

#include <algorithm>
#include <tuple>

namespace atollvm::text {

namespace {

// The items that can be reached from some of them.
class Reach {
 public:
  explicit Reach(Unit& unit)
      : unit_(unit), reached_(unit.extents.size()), seen_(unit.names.size()) {}

  void add(u32 extent) {
    if (reached_[extent]) return;
    reached_[extent] = true;
    waiting_.push_back(extent);
  }

  void run() {
    while (!waiting_.empty()) {
      const Extent& extent = unit_.extents[waiting_.back()];
      waiting_.pop_back();
      const std::vector<Token>& tokens = unit_.files[extent.file]->tokens;
      for (u32 at = extent.begin; at < extent.end; ++at) {
        if (tokens[at].kind == Kind::name) mention(tokens[at].value);
      }
    }
  }

  [[nodiscard]] bool reached(u32 extent) const { return reached_[extent]; }
  [[nodiscard]] bool reached(At name) const { return reached_[extent_of(name)]; }

  // The last extent that does not begin after the token; the names of all items are in one.
  [[nodiscard]] u32 extent_of(At at) const {
    const auto after = std::upper_bound(
        unit_.extents.begin(), unit_.extents.end(), at, [](const At& x, const Extent& y) {
          return std::tie(x.file, x.token) < std::tie(y.file, y.begin);
        });
    return static_cast<u32>(after - unit_.extents.begin()) - 1;
  }

 private:
  void mention(Symbol symbol) {
    if (seen_[symbol]) return;
    seen_[symbol] = true;
    if (symbol < unit_.bindings.size() && unit_.bindings[symbol].kind != Bind::none) {
      add(extent_of(unit_.defined_at[symbol]));
      return;
    }
    // `Body.x` mentions Body.
    const std::string_view text = unit_.names.text(symbol);
    const usize dot = text.find('.');
    if (dot == text.npos) return;
    const Symbol head = unit_.names.find(text.substr(0, dot));
    if (head != Names::none) mention(head);
  }

  Unit& unit_;
  std::vector<bool> reached_;  // by extent
  std::vector<bool> seen_;     // by symbol
  std::vector<u32> waiting_;
};

// Keeps the function types of what is needed, in their order. Broken items have none.
void keep_types(Unit& unit, const Reach& needed) {
  std::vector<mod::FuncType>& types = unit.module.types;
  std::vector<u32*> users;
  for (FuncItem& item : unit.functions) {
    if (needed.reached(item.name) && item.type < types.size()) users.push_back(&item.type);
  }
  for (usize i = 0; i < unit.types.size(); ++i) {
    if (needed.reached(unit.types[i]) && unit.type_indexes[i] < types.size()) {
      users.push_back(&unit.type_indexes[i]);
    } else {
      unit.type_indexes[i] = Unit::unused_type;
    }
  }
  std::vector<u32> numbers(types.size(), Unit::unused_type);
  for (const u32* user : users) numbers[*user] = 0;
  u32 count = 0;
  for (usize i = 0; i < types.size(); ++i) {
    if (numbers[i] == Unit::unused_type) continue;
    if (count != i) types[count] = std::move(types[i]);
    numbers[i] = count++;
  }
  types.resize(count);
  for (u32* user : users) *user = numbers[*user];
}

}  // namespace

void leave_out(Unit& unit) {
  std::sort(unit.extents.begin(), unit.extents.end(), [](const Extent& x, const Extent& y) {
    return std::tie(x.file, x.begin) < std::tie(y.file, y.begin);
  });
  Reach tests(unit);
  std::vector<bool> is_test(unit.extents.size());
  for (const FuncItem& item : unit.functions) {
    if (!item.test || unit.keeps_test(item)) continue;
    const u32 extent = tests.extent_of(item.name);
    is_test[extent] = true;
    tests.add(extent);
  }
  tests.run();
  Reach needed(unit);
  for (u32 i = 0; i < unit.extents.size(); ++i) {
    const Extent& extent = unit.extents[i];
    const bool own_item = !unit.files[extent.file]->library && !tests.reached(i);
    if ((own_item || extent.root) && !is_test[i]) needed.add(i);
  }
  needed.run();
  for (FuncItem& item : unit.functions) item.library = item.library || !needed.reached(item.name);
  for (DataItem& item : unit.datas) item.used = needed.reached(item.name);
  for (GlobalItem& item : unit.globals) item.used = needed.reached(item.name);
  for (TableItem& item : unit.tables) item.used = needed.reached(item.name);
  for (ElemItem& item : unit.elems) item.used = needed.reached(item.name);
  keep_types(unit, needed);
}

}  // namespace atollvm::text
