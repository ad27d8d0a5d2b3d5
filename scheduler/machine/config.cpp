#include "scheduler/machine/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "scheduler/machine/toml.hpp"
#include "vm/base/near_miss.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm::machine {

using base::Error;
using base::ErrorCode;

namespace {

constexpr u32 max_key_parts = 16;
constexpr u32 max_levels = 32;
constexpr double max_time = 1e15;

// toml++ makes a table for each part of a dotted key, and takes them down by recursion: it must not
// see a key of very many parts. Gives where one begins to be too long. Looks at correct text only:
// where text is wrong, toml++ stops before it.
std::optional<usize> long_key(std::string_view text) {
  u32 dots = 0;
  for (usize at = 0; at < text.size(); ++at) {
    const char letter = text[at];
    if (letter == '#') {
      at = std::min(text.find('\n', at), text.size());
      dots = 0;
    } else if (letter == '"' || letter == '\'') {
      const bool is_long = text.substr(at, 3) == std::string(3, letter);
      const std::string end(is_long ? 3 : 1, letter);
      for (at += end.size(); at < text.size() && text.substr(at, end.size()) != end; ++at) {
        if (letter == '"' && text[at] == '\\') ++at;
      }
      at += end.size();
      // One or two more may belong to the text of a long one.
      while (is_long && at < text.size() && text[at] == letter) ++at;
      --at;
    } else if (letter == '.') {
      if (++dots >= max_key_parts) return at;
    } else if (std::string_view("=,[]{}\n").find(letter) != std::string_view::npos) {
      dots = 0;
    }
  }
  return std::nullopt;
}

Node from_toml(const toml::node& from) {
  Node node;
  node.line = from.source().begin.line;
  node.column = from.source().begin.column;
  if (const auto* table = from.as_table()) {
    Table members;
    for (const auto& [key, value] : *table) {
      const auto& at = key.source().begin;
      members.push_back({std::string(key.str()), from_toml(value), at.line, at.column});
    }
    std::ranges::stable_sort(members, {},
                             [](const Member& each) { return std::tie(each.line, each.column); });
    node.value = std::move(members);
  } else if (const auto* list = from.as_array()) {
    List items;
    items.reserve(list->size());
    for (const toml::node& each : *list) items.push_back(from_toml(each));
    node.value = std::move(items);
  } else if (const auto* text = from.as_string()) {
    node.value = text->get();
  } else if (const auto* integer = from.as_integer()) {
    node.value = integer->get();
  } else if (const auto* number = from.as_floating_point()) {
    node.value = number->get();
  } else if (const auto* boolean = from.as_boolean()) {
    node.value = boolean->get();
  }
  return node;
}

Node from_json(const nlohmann::json& from) {
  Node node;
  if (from.is_object()) {
    Table members;
    for (const auto& [key, value] : from.items()) members.push_back({key, from_json(value)});
    node.value = std::move(members);
  } else if (from.is_array()) {
    List items;
    items.reserve(from.size());
    for (const auto& each : from) items.push_back(from_json(each));
    node.value = std::move(items);
  } else if (const auto* text = from.get_ptr<const std::string*>()) {
    node.value = *text;
  } else if (from.is_number_integer() &&
             (!from.is_number_unsigned() || from.get<u64>() <= u64{INT64_MAX})) {
    node.value = from.get<i64>();
  } else if (from.is_number()) {
    node.value = from.get<double>();
  } else if (from.is_boolean()) {
    node.value = from.get<bool>();
  }
  return node;
}

// The parser copes with any depth; what works on its result recurses.
bool is_deep(std::string_view json) {
  u32 level = 0;
  bool quoted = false;
  for (usize at = 0; at < json.size(); ++at) {
    const char letter = json[at];
    if (quoted && letter == '\\') ++at;
    if (letter == '"') quoted = !quoted;
    if (quoted) continue;
    if ((letter == '{' || letter == '[') && ++level > max_levels) return true;
    if ((letter == '}' || letter == ']') && level > 0) --level;
  }
  return false;
}

// Appends the way from `from` to a node; false: it is not below.
bool find_path(const Node& from, const Node* wanted, std::string& path) {
  if (&from == wanted) return true;
  const usize length = path.size();
  if (const Table* table = from.table()) {
    for (const Member& member : *table) {
      path += (length == 0 ? "" : ".") + base::printable(member.key);
      if (find_path(member.node, wanted, path)) return true;
      path.resize(length);
    }
  } else if (const List* list = from.list()) {
    for (usize i = 0; i < list->size(); ++i) {
      path += fmt::format("[{}]", i);
      if (find_path((*list)[i], wanted, path)) return true;
      path.resize(length);
    }
  }
  return false;
}

struct Unit {
  std::string_view name;
  u64 factor;
};

template <class Units>
u64 factor_of(const Units& units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return unit.factor;
  }
  return 0;
}

constexpr Unit time_units[] = {
    {"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000},
    {"ms", 1'000'000},        {"us", 1'000},         {"ns", 1}};
// The short ones are those of the command line.
constexpr Unit size_units[] = {{"B", 1},         {"KiB", 1 << 10},      {"MiB", 1 << 20},
                               {"GiB", 1 << 30}, {"TiB", u64{1} << 40}, {"k", 1 << 10},
                               {"M", 1 << 20},   {"G", 1 << 30}};

}  // namespace

std::optional<double> Node::number() const {
  if (const auto* integer = std::get_if<i64>(&value)) return static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  return std::nullopt;
}

const Node* Node::find(std::string_view key) const {
  if (table() == nullptr) return nullptr;
  for (const Member& member : *table()) {
    if (member.key == key) return &member.node;
  }
  return nullptr;
}

base::Result<Document> Document::toml(std::string_view name, std::string_view text, usize limit) {
  Document document;
  document.name_ = name;
  const auto place = [&](u32 line, u32 column) {
    return fmt::format("{}:{}:{}", name, line, column);
  };
  if (text.size() > limit) {
    return Error{ErrorCode::limit, document.name_,
                 fmt::format("larger than {} KiB, which is the most", limit >> 10)};
  }
  if (const auto at = long_key(text)) {
    const auto before = text.substr(0, *at);
    const auto line = static_cast<u32>(std::ranges::count(before, '\n'));
    const usize newline = before.rfind('\n');
    const usize column = newline == before.npos ? *at : *at - newline - 1;
    return Error{ErrorCode::malformed, place(line + 1, static_cast<u32>(column) + 1),
                 fmt::format("a key of more than {} parts", max_key_parts)};
  }
  const ::toml::parse_result parsed = ::toml::parse(text);
  if (!parsed) {
    const auto& at = parsed.error().source().begin;
    return Error{ErrorCode::malformed, place(at.line, at.column),
                 base::printable(parsed.error().description(), 200)};
  }
  document.root_ = from_toml(parsed.table());
  return document;
}

base::Result<Document> Document::json(std::string_view text, usize limit) {
  if (text.size() > limit) {
    return Error{ErrorCode::limit, "", fmt::format("larger than {} KiB", limit >> 10)};
  }
  if (is_deep(text)) {
    return Error{ErrorCode::malformed, "",
                 fmt::format("nested in more than {} levels", max_levels)};
  }
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (!parsed.is_object()) return Error{ErrorCode::malformed, "", "not a JSON object"};
  Document document;
  document.root_ = from_json(parsed);
  return document;
}

std::string Document::place(const Node& node) const {
  if (!name_.empty()) return fmt::format("{}:{}:{}", name_, node.line, node.column);
  std::string path;
  find_path(root_, &node, path);
  return path;
}

std::string Document::place(const Member& member) const {
  if (!name_.empty()) return fmt::format("{}:{}:{}", name_, member.line, member.column);
  return place(member.node);
}

void Reader::fail(const Node& node, std::string message, ErrorCode code) {
  if (ok()) error_ = Error{code, document_.place(node), std::move(message)};
}

void Reader::fail(const Member& member, std::string message) {
  if (ok()) error_ = Error{ErrorCode::invalid, document_.place(member), std::move(message)};
}

void Reader::known(const Node& table, std::string_view what,
                   std::span<const std::string_view> keys) {
  if (table.table() == nullptr) {
    return fail(table,
                fmt::format("{} must be a table with the keys {}", what, fmt::join(keys, ", ")));
  }
  for (const Member& member : *table.table()) {
    if (std::ranges::find(keys, member.key) != keys.end()) continue;
    base::NearMiss near(member.key);
    for (const std::string_view key : keys) near.consider(key);
    const std::string hint = near.hint();
    fail(member,
         fmt::format("{} has no `{}`; {}", what, base::printable(member.key),
                     hint.empty() ? fmt::format("it may have {}", fmt::join(keys, ", ")) : hint));
  }
}

u64 Reader::integer(const Node& table, std::string_view key, u64 low, u64 high, u64 otherwise) {
  const Node* const node = table.find(key);
  if (node == nullptr) return otherwise;
  const i64* const value = std::get_if<i64>(&node->value);
  if (value == nullptr || *value < 0 || static_cast<u64>(*value) < low ||
      static_cast<u64>(*value) > high) {
    fail(*node, fmt::format("`{}` must be an integer from {} to {}", key, low, high));
    return otherwise;
  }
  return static_cast<u64>(*value);
}

bool Reader::boolean(const Node& table, std::string_view key, bool otherwise) {
  const Node* const node = table.find(key);
  if (node == nullptr) return otherwise;
  const bool* const value = std::get_if<bool>(&node->value);
  if (value == nullptr) fail(*node, fmt::format("`{}` must be true or false", key));
  return value != nullptr ? *value : otherwise;
}

std::string Reader::text(const Node& table, std::string_view key, std::string otherwise,
                         usize limit) {
  const Node* const node = table.find(key);
  if (node == nullptr) return otherwise;
  const std::string* const value = node->text();
  if (value == nullptr || value->empty() || value->size() > limit ||
      base::printable(*value, limit) != *value) {
    fail(*node, fmt::format("`{}` must be a text of 1 to {} bytes", key, limit));
    return otherwise;
  }
  return *value;
}

u32 Reader::word(const Node& table, std::string_view key, std::span<const std::string_view> words,
                 u32 otherwise) {
  const Node* const node = table.find(key);
  if (node == nullptr) return otherwise;
  if (const std::string* const value = node->text()) {
    const auto found = std::ranges::find(words, *value);
    if (found != words.end()) return static_cast<u32>(found - words.begin());
  }
  fail(*node, fmt::format("`{}` must be {}", key, words_text(words)));
  return otherwise;
}

double Reader::time(const Node& node, std::string_view what) {
  const auto value = node.text() != nullptr ? parse_time(*node.text()) : std::nullopt;
  if (!value) {
    fail(node, fmt::format("{} must be a time such as \"1.5ms\" (ns, us, ms, s, m, h), from 0 to "
                           "1000000s",
                           what));
  }
  return value.value_or(0);
}

u64 Reader::time(const Node& table, std::string_view key, u64 low, u64 otherwise) {
  const Node* const node = table.find(key);
  if (node == nullptr) return otherwise;
  const u64 value = static_cast<u64>(std::llround(time(*node, fmt::format("`{}`", key))));
  if (value < low) fail(*node, fmt::format("`{}` must be at least {}", key, time_text(low)));
  return value;
}

u64 Reader::size(const Node& table, std::string_view key, u64 low, u64 high, u64 otherwise,
                 bool is_rate) {
  const Node* const node = table.find(key);
  if (node == nullptr) return otherwise;
  const i64* const integer = std::get_if<i64>(&node->value);
  std::optional<u64> value;
  if (integer != nullptr && *integer >= 0) value = static_cast<u64>(*integer);
  if (node->text() != nullptr) {
    std::string_view text = *node->text();
    if (is_rate && text.ends_with("/s")) text.remove_suffix(2);
    value = parse_size(text);
  }
  if (!value || *value < low || *value > high) {
    fail(*node, fmt::format("`{}` must be a size: bytes, or a text such as \"64 MiB\" (KiB, MiB, "
                            "GiB, TiB), from {} to {} bytes",
                            key, low, high));
    return otherwise;
  }
  return *value;
}

const List& Reader::tables(const Node& table, std::string_view key, usize limit) {
  static const List none;
  const Node* const node = table.find(key);
  if (node == nullptr) return none;
  const List* const list = node->list();
  if (list == nullptr) {
    fail(*node, fmt::format("`{0}` must be a list of tables: write it as [[{0}]]", key));
    return none;
  }
  if (list->size() > limit) {
    fail(*node, fmt::format("more than {} [[{}]]", limit, key));
    return none;
  }
  for (const Node& each : *list) {
    if (each.table() != nullptr) continue;
    fail(each, fmt::format("each in `{0}` must be a table: write it as [[{0}]]", key));
    return none;
  }
  return *list;
}

std::string words_text(std::span<const std::string_view> words) {
  std::string result;
  for (const std::string_view& word : words) {
    if (!result.empty()) result += &word == &words.back() ? " or " : ", ";
    result += fmt::format("\"{}\"", word);
  }
  return result;
}

std::optional<double> parse_time(std::string_view text) {
  double number = -1;
  const char* const end = text.data() + text.size();
  const auto [rest, bad] = std::from_chars(text.data(), end, number);
  if (bad != std::errc()) return std::nullopt;
  std::string_view unit(rest, static_cast<usize>(end - rest));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  const u64 factor = factor_of(time_units, unit);
  const double value = number * static_cast<double>(factor);
  if (factor == 0 || !(value >= 0 && value <= max_time)) return std::nullopt;
  return value;
}

std::optional<u64> parse_size(std::string_view text) {
  u64 number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, bad] = std::from_chars(text.data(), end, number);
  if (bad != std::errc()) return std::nullopt;
  std::string_view unit(rest, static_cast<usize>(end - rest));
  if (unit.empty()) return number;
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  const u64 factor = factor_of(size_units, unit);
  if (factor == 0 || number > UINT64_MAX / factor) return std::nullopt;
  return number * factor;
}

std::string time_text(u64 nanoseconds) {
  for (const Unit& unit : time_units) {
    if (nanoseconds != 0 && nanoseconds % unit.factor == 0) {
      return fmt::format("{}{}", nanoseconds / unit.factor, unit.name);
    }
  }
  return "0s";
}

}  // namespace atollvm::machine
