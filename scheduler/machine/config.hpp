// Trees of values out of TOML or JSON text, and reading them with exact messages: what machine
// files, workload files and the requests of the control protocol have in common.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "vm/base/result.hpp"
#include "vm/base/types.hpp"

namespace atollvm::machine {

struct Node;
struct Member;
using List = std::vector<Node>;
using Table = std::vector<Member>;  // in the order of the text; of JSON, of the keys
struct Null {};                     // JSON's null; dates and times of TOML, which nothing takes

struct Node {
  std::variant<Null, bool, i64, double, std::string, List, Table> value;
  u32 line = 0;  // of TOML text, from 1
  u32 column = 0;

  [[nodiscard]] const Table* table() const { return std::get_if<Table>(&value); }
  [[nodiscard]] const List* list() const { return std::get_if<List>(&value); }
  [[nodiscard]] const std::string* text() const { return std::get_if<std::string>(&value); }
  // An integer too.
  [[nodiscard]] std::optional<double> number() const;
  // A member of a table; null: there is none, or this is no table.
  [[nodiscard]] const Node* find(std::string_view key) const;
};

struct Member {
  std::string key;
  Node node;
  u32 line = 0;  // of the key
  u32 column = 0;
};

// A text's tree; its root is a table.
class Document {
 public:
  // Errors: malformed (with the place), limit (more than `limit` bytes). `name` is for messages.
  static base::Result<Document> toml(std::string_view name, std::string_view text, usize limit);
  // Errors: malformed (no JSON, nested in more than 32 levels, or no object), limit.
  static base::Result<Document> json(std::string_view text, usize limit);

  [[nodiscard]] const Node& root() const { return root_; }
  // TOML: "name:line:column". JSON: a path such as "machine.directories[1].host"; linear in the
  // document's size.
  [[nodiscard]] std::string place(const Node& node) const;
  [[nodiscard]] std::string place(const Member& member) const;

 private:
  std::string name_;  // empty: JSON
  Node root_;
};

// Reads a document and keeps the first mistake. What is wrong is read as `otherwise`.
class Reader {
 public:
  // The document outlives it.
  explicit Reader(const Document& document) : document_(document) {}

  [[nodiscard]] bool ok() const { return !error_; }
  // The mistake, if there is one.
  [[nodiscard]] const std::optional<base::Error>& error() const { return error_; }

  void fail(const Node& node, std::string message, base::ErrorCode code = base::ErrorCode::invalid);
  void fail(const Member& member, std::string message);

  [[nodiscard]] std::string place(const Node& node) const { return document_.place(node); }
  [[nodiscard]] std::string place(const Member& member) const { return document_.place(member); }

  // Refuses keys that mean nothing here, and says which do. `what` is "a machine" or the like.
  void known(const Node& table, std::string_view what, std::span<const std::string_view> keys);
  void known(const Node& table, std::string_view what,
             std::initializer_list<std::string_view> keys) {
    known(table, what, std::span(keys.begin(), keys.size()));
  }

  u64 integer(const Node& table, std::string_view key, u64 low, u64 high, u64 otherwise);
  bool boolean(const Node& table, std::string_view key, bool otherwise);
  // A text of 1 to `limit` bytes without control characters.
  std::string text(const Node& table, std::string_view key, std::string otherwise,
                   usize limit = 64);
  // One of `words`, as its index.
  u32 word(const Node& table, std::string_view key, std::span<const std::string_view> words,
           u32 otherwise);

  // A time such as "1.5ms", in nanoseconds; at most 1e15. `what` begins the message.
  double time(const Node& node, std::string_view what);
  u64 time(const Node& table, std::string_view key, u64 low, u64 otherwise);
  // Bytes: a whole number, or a text such as "64 MiB".
  u64 size(const Node& table, std::string_view key, u64 low, u64 high, u64 otherwise,
           bool is_rate = false);

  // Calls `read` with each table of a list of tables, which TOML writes as [[key]].
  template <class Read>
  void each_table(const Node& table, std::string_view key, usize limit, Read read) {
    for (const Node& each : tables(table, key, limit)) read(each);
  }

 private:
  const List& tables(const Node& table, std::string_view key, usize limit);

  const Document& document_;
  std::optional<base::Error> error_;
};

// "`key` must be ...", where it may be one of several words: "a, b or c".
std::string words_text(std::span<const std::string_view> words);
// "1.5ms" in nanoseconds, and "64 MiB" in bytes; nothing where it is none, or does not fit.
std::optional<double> parse_time(std::string_view text);
std::optional<u64> parse_size(std::string_view text);
// The shortest text that parse_time reads as this many nanoseconds.
std::string time_text(u64 nanoseconds);

}  // namespace atollvm::machine
