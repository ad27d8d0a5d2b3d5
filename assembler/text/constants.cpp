// Constant expressions: C's operators on 64-bit signed integers and floats.
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "assembler/text/parser.hpp"

namespace atollvm::text {

namespace {

constexpr i64 i64_min = std::numeric_limits<i64>::min();

// Binding strength of binary operators, C's; 0: none.
int level(Kind kind) {
  switch (kind) {
    case Kind::star:
    case Kind::slash:
    case Kind::percent:
      return 10;
    case Kind::plus:
    case Kind::minus:
      return 9;
    case Kind::shl:
    case Kind::shr:
      return 8;
    case Kind::lt:
    case Kind::le:
    case Kind::gt:
    case Kind::ge:
      return 7;
    case Kind::eq:
    case Kind::ne:
      return 6;
    case Kind::amp:
      return 5;
    case Kind::caret:
      return 4;
    case Kind::pipe:
      return 3;
    case Kind::and_and:
      return 2;
    case Kind::or_or:
      return 1;
    default:
      return 0;
  }
}

Const of(i64 value) {
  Const result;
  result.integer = value;
  return result;
}

Const of_real(f64 value) {
  Const result;
  result.kind = Const::Kind::real;
  result.real = value;
  return result;
}

std::string digits_of(std::string_view spelling) {
  std::string digits;
  for (char c : spelling) {
    if (c != '_') digits += c;
  }
  return digits;
}

// Reads a float literal's digits; false when the value is too large.
template <class Float>
bool read_float(std::string_view spelling, Float& value) {
  const std::string digits = digits_of(spelling);
  const bool hex = digits.starts_with("0x") || digits.starts_with("0X");
  const char* begin = digits.data() + (hex ? 2 : 0);
  const char* end = digits.data() + digits.size();
  const auto result =
      std::from_chars(begin, end, value, hex ? std::chars_format::hex : std::chars_format::general);
  if (result.ec == std::errc::result_out_of_range) {
    // Too small is 0 (or the smallest, as strtod rounds); too large is an error.
    value = static_cast<Float>(std::strtod(digits.c_str(), nullptr));
    return std::isfinite(value);
  }
  return result.ec == std::errc();
}

}  // namespace

Const Parser::constant() { return ternary(); }

Const Parser::ternary() {
  const Deeper deeper(unit_, place());
  Const condition = binary(1);
  if (!is(Kind::question)) return condition;
  const Token& op = *at_++;
  const bool first = condition.kind == Const::Kind::integer ? as_integer(condition, op) != 0
                                                            : as_real(condition) != 0;
  const Const yes = ternary();
  expect(Kind::colon, "`:` of `?:`");
  const Const no = ternary();
  return first ? yes : no;
}

Const Parser::binary(int min_level) {
  Const left = unary();
  for (;;) {
    const int here = level(at_->kind);
    if (here == 0 || here < min_level) return left;
    const Token& op = *at_++;
    const Const right = binary(here + 1);
    left = combine(op, left, right);
  }
}

Const Parser::unary() {
  const Token& op = *at_;
  switch (op.kind) {
    case Kind::plus: {
      const Deeper deeper(unit_, place());
      ++at_;
      return unary();
    }
    case Kind::minus: {
      const Deeper deeper(unit_, place());
      ++at_;
      // -9223372036854775808 is in the range, its digits alone are not.
      if (is(Kind::wide) && file_->wides[at_->value].value == u64{1} << 63) {
        ++at_;
        return of(i64_min);
      }
      Const value = unary();
      if (value.kind == Const::Kind::integer) {
        const i64 number = as_integer(value, op);
        if (number == i64_min) fail(op, "the result does not fit 64 bits");
        return of(-number);
      }
      if (value.kind == Const::Kind::null) fail(op, "`null` is not a number");
      value.real = -value.real;
      value.negative = !value.negative;
      return value;
    }
    case Kind::tilde: {
      const Deeper deeper(unit_, place());
      ++at_;
      return of(~as_integer(unary(), op));
    }
    case Kind::bang: {
      const Deeper deeper(unit_, place());
      ++at_;
      const Const value = unary();
      return of(value.kind == Const::Kind::integer ? as_integer(value, op) == 0
                                                   : as_real(value) == 0);
    }
    default:
      return primary();
  }
}

Const Parser::primary() {
  const Token& token = *at_;
  switch (token.kind) {
    case Kind::integer:
      ++at_;
      return of(token.value);
    case Kind::wide: {
      ++at_;
      const Wide wide = file_->wides[token.value];
      if (wide.decimal && wide.value > static_cast<u64>(std::numeric_limits<i64>::max())) {
        fail(token, "the number does not fit a signed 64-bit integer",
             "hexadecimal numbers may use all 64 bits");
      }
      return of(static_cast<i64>(wide.value));
    }
    case Kind::real:
      ++at_;
      return real_literal(token);
    case Kind::lparen: {
      ++at_;
      const Const value = ternary();
      expect(Kind::rparen, "`)`");
      return value;
    }
    case Kind::name:
      return name_value(token);
    case Kind::string:
      fail(token, "a string cannot be used as a number", "give it a name with `data`");
    default:
      missing("a value");
  }
}

Const Parser::real_literal(const Token& token) {
  const std::string_view spelling = file_->spelling(token);
  Const value;
  if (spelling.starts_with("nan:")) {
    const std::string digits = digits_of(spelling.substr(6));
    u64 payload = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), payload, 16);
    if (result.ec != std::errc() || result.ptr != digits.data() + digits.size() || payload == 0 ||
        payload >= u64{1} << 52) {
      fail(token, "this is not a valid payload of a NaN",
           "nan:0x1 to nan:0x7fffff (f32), to nan:0xfffffffffffff (f64)");
    }
    value.kind = Const::Kind::nan;
    value.integer = static_cast<i64>(payload);
    return value;
  }
  value.kind = Const::Kind::real;
  if (!read_float(spelling, value.real)) fail(token, "the number is too large for f64");
  value.literal = where(&token);
  value.is_literal = true;
  return value;
}

i64 Parser::as_integer(const Const& value, const Token& at) {
  if (value.kind != Const::Kind::integer) fail(at, "an integer is needed here");
  if (value.base != Const::Base::none) {
    fail(at, "an address is known to the linker only: no more than adding a number can be done");
  }
  return value.integer;
}

Const Parser::combine(const Token& op, const Const& x, const Const& y) {
  if (x.kind == Const::Kind::null || y.kind == Const::Kind::null) {
    fail(op, "`null` is not a number");
  }
  if (x.kind != Const::Kind::integer || y.kind != Const::Kind::integer) {
    const f64 nan = std::numeric_limits<f64>::quiet_NaN();
    const f64 a = x.kind == Const::Kind::nan ? nan : as_real(x);
    const f64 b = y.kind == Const::Kind::nan ? nan : as_real(y);
    f64 result = 0;
    switch (op.kind) {
      case Kind::plus:
        result = a + b;
        break;
      case Kind::minus:
        result = a - b;
        break;
      case Kind::star:
        result = a * b;
        break;
      case Kind::slash:
        result = a / b;
        break;
      case Kind::lt:
        return of(a < b);
      case Kind::le:
        return of(a <= b);
      case Kind::gt:
        return of(a > b);
      case Kind::ge:
        return of(a >= b);
      case Kind::eq:
        return of(a == b);
      case Kind::ne:
        return of(a != b);
      default:
        fail(op, text_of(op) + " needs integers");
    }
    if (std::isnan(result)) {
      Const value;
      value.kind = Const::Kind::nan;
      return value;
    }
    return of_real(result);
  }
  if (x.base != Const::Base::none || y.base != Const::Base::none) {
    // Address plus or minus a number, or the distance of two addresses.
    Const sum = x;
    const bool same = x.base == y.base;
    if (op.kind == Kind::plus && (x.base == Const::Base::none || y.base == Const::Base::none)) {
      sum.base = x.base != Const::Base::none ? x.base : y.base;
      sum.integer = x.integer + y.integer;
      return sum;
    }
    if (op.kind == Kind::minus && (y.base == Const::Base::none || same)) {
      sum.base = same ? Const::Base::none : x.base;
      sum.integer = x.integer - y.integer;
      return sum;
    }
  }
  const i64 a = as_integer(x, op);
  const i64 b = as_integer(y, op);
  i64 result = 0;
  bool overflow = false;
  switch (op.kind) {
    case Kind::plus:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Kind::minus:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Kind::star:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Kind::slash:
    case Kind::percent:
      if (b == 0) fail(op, "division by zero");
      if (b == -1) {
        overflow = op.kind == Kind::slash && a == i64_min;
        result = op.kind == Kind::slash && !overflow ? -a : 0;
      } else {
        result = op.kind == Kind::slash ? a / b : a % b;
      }
      break;
    case Kind::shl:
    case Kind::shr:
      if (b < 0 || b > 63) fail(op, "a shift by " + std::to_string(b) + " is not in 0..63");
      if (op.kind == Kind::shr) return of(a >> b);
      result = static_cast<i64>(static_cast<u64>(a) << b);
      overflow = result >> b != a;
      break;
    case Kind::lt:
      return of(a < b);
    case Kind::le:
      return of(a <= b);
    case Kind::gt:
      return of(a > b);
    case Kind::ge:
      return of(a >= b);
    case Kind::eq:
      return of(a == b);
    case Kind::ne:
      return of(a != b);
    case Kind::amp:
      return of(a & b);
    case Kind::caret:
      return of(a ^ b);
    case Kind::pipe:
      return of(a | b);
    case Kind::and_and:
      return of(a != 0 && b != 0);
    default:
      return of(a != 0 || b != 0);
  }
  if (overflow) fail(op, "the result does not fit 64 bits");
  return of(result);
}

const Const& Parser::constant_item(u32 index, const Token& use) {
  ConstItem& item = unit_.constants[index];
  if (item.state == State::known) return item.value;
  if (item.state == State::failed) throw Stop{};
  if (item.state == State::busy) {
    fail(use, "the value of " + text_of(use) + " depends on itself");
  }
  item.state = State::busy;
  try {
    Const value;
    if (item.add >= 0) {
      const i64 base =
          item.base == ConstItem::no_base ? 0 : as_integer(constant_item(item.base, use), use);
      if (__builtin_add_overflow(base, unit_.constants[index].add, &value.integer)) {
        fail(unit_.token_of(item.expression), "the value does not fit 64 bits");
      }
    } else {
      Parser parser(unit_, item.expression);
      value = parser.constant();
      // Enumerators end at a comma or brace.
      if (!parser.is(Kind::comma)) parser.expect_end();
    }
    unit_.constants[index].value = value;
    unit_.constants[index].state = State::known;
  } catch (Stop&) {
    unit_.constants[index].state = State::failed;
    throw;
  }
  return unit_.constants[index].value;
}

Const Parser::name_value(const Token& token) {
  ++at_;
  const Symbol symbol = token.value;
  switch (static_cast<Keyword>(symbol)) {
    case Keyword::inf:
      return of_real(std::numeric_limits<f64>::infinity());
    case Keyword::nan: {
      Const value;
      value.kind = Const::Kind::nan;
      return value;
    }
    case Keyword::null: {
      Const value;
      value.kind = Const::Kind::null;
      return value;
    }
    case Keyword::heap_base: {
      Const value = of(static_cast<i64>(heap_base(token)));
      if (unit_.options.object) {
        value.base = Const::Base::heap;
        value.integer = 0;
      }
      return value;
    }
    case Keyword::sizeof_:
    case Keyword::alignof_: {
      if (!accept(Kind::lparen)) break;
      const Extent extent = field_type();
      expect(Kind::rparen, "`)`");
      return of(static_cast<i64>(static_cast<Keyword>(symbol) == Keyword::sizeof_ ? extent.size
                                                                                  : extent.align));
    }
    case Keyword::len: {
      if (!accept(Kind::lparen)) break;
      const Token& name = *at_;
      if (!is(Kind::name)) missing("the name of a data item");
      const Binding bound = binding(name.value);
      if (bound.kind != Bind::data && bound.kind != Bind::passive_data) {
        fail(name, "there is no data item " + text_of(name),
             near_miss(text(name.value), {Bind::data, Bind::passive_data}));
      }
      ++at_;
      measure_data(bound.index);
      expect(Kind::rparen, "`)`");
      return of(static_cast<i64>(unit_.datas[bound.index].size));
    }
    default:
      break;
  }
  const Binding bound = binding(symbol);
  switch (bound.kind) {
    case Bind::constant: {
      const Deeper deeper(unit_, place(token));
      return constant_item(bound.index, token);
    }
    case Bind::data: {
      layout_memory(token);
      Const value = of(static_cast<i64>(unit_.datas[bound.index].address));
      if (unit_.options.object) value.base = Const::Base::data;
      return value;
    }
    case Bind::passive_data:
      fail(token, text_of(token) + " is passive data and has no address",
           "`memory.init` copies it into memory");
    case Bind::value:
      return unit_.macro_values[bound.index];
    case Bind::reg:
      fail(token, text_of(token) + " is a register; a constant is needed here");
    case Bind::none:
      break;
    default:
      fail(token, text_of(token) + " is not a constant");
  }
  if (const auto value = dotted_value(token)) return *value;
  if (symbol < reserved_words || is_operation(symbol, operation_count_)) {
    fail(token, "expected a value, found " + text_of(token));
  }
  fail(token, "unknown name " + text_of(token),
       near_miss(text(symbol), {Bind::constant, Bind::data, Bind::reg, Bind::value}));
}

// `Body.y`, `Body.inner.x`: the offset of a field.
std::optional<Const> Parser::dotted_value(const Token& token) {
  std::string_view rest = text(token.value);
  const usize first_dot = rest.find('.');
  if (first_dot == std::string_view::npos) return std::nullopt;
  const std::string_view head = rest.substr(0, first_dot);
  const Symbol head_symbol = unit_.names.find(head);
  const Binding bound = head_symbol == Names::none ? Binding{} : binding(head_symbol);
  if (bound.kind == Bind::enumeration) {
    NearMiss near(rest);
    for (Symbol symbol = 0; symbol < unit_.names.size() && symbol < unit_.bindings.size();
         ++symbol) {
      const std::string_view name = text(symbol);
      if (unit_.bindings[symbol].kind == Bind::constant && name.size() > first_dot &&
          name.substr(0, first_dot + 1) == rest.substr(0, first_dot + 1)) {
        near.consider(name);
      }
    }
    fail(token, quoted(head) + " has no member " + quoted(rest.substr(first_dot + 1)), near.hint());
  }
  if (bound.kind != Bind::structure) {
    if (is_operation(token.value, operation_count_)) return std::nullopt;
    if (bound.kind == Bind::none) {
      fail(token, "unknown name " + text_of(token),
           near_miss(head, {Bind::structure, Bind::enumeration}));
    }
    fail(token, quoted(head) + " is not a structure or enumeration");
  }
  u32 structure = bound.index;
  u64 offset = 0;
  rest.remove_prefix(first_dot + 1);
  for (;;) {
    layout_struct(structure, token);
    const usize dot = rest.find('.');
    const std::string_view name = rest.substr(0, dot);
    const StructItem& item = unit_.structs[structure];
    NearMiss near(name);
    u32 found = ~0u;
    for (u32 i = item.first_field; i < item.first_field + item.field_count; ++i) {
      if (text(unit_.fields[i].name) == name) found = i;
      near.consider(text(unit_.fields[i].name));
    }
    if (found == ~0u) {
      fail(token, quoted(text(unit_.token_of(item.name).value)) + " has no field " + quoted(name),
           near.hint());
    }
    offset += unit_.fields[found].offset;
    if (dot == std::string_view::npos) return of(static_cast<i64>(offset));
    structure = unit_.fields[found].structure;
    if (structure == ~0u) fail(token, quoted(name) + " is not a structure");
    rest.remove_prefix(dot + 1);
  }
}

i64 Parser::integer(const char* what, i64 min, i64 max) {
  const Token& token = *at_;
  const Const value = constant();
  const i64 number = as_integer(value, token);
  if (number < min || number > max) {
    fail(token, std::string(what) + " must be in " + std::to_string(min) + ".." +
                    std::to_string(max) + ", not " + std::to_string(number));
  }
  return number;
}

u64 Parser::bits(const Const& value, ValType type, const Token& at) {
  switch (type) {
    case ValType::i32:
    case ValType::i64: {
      if (value.kind != Const::Kind::integer) {
        fail(at, "expected an " + std::string(name_of(type)) + ", found " +
                     (value.kind == Const::Kind::null ? "`null`" : "a float"));
      }
      if (type == ValType::i64) return static_cast<u64>(value.integer);
      if (value.integer < -(i64{1} << 31) || value.integer >= i64{1} << 32) {
        fail(at, std::to_string(value.integer) + " does not fit an i32");
      }
      return static_cast<u32>(value.integer);
    }
    case ValType::f32:
    case ValType::f64: {
      const bool single = type == ValType::f32;
      if (value.kind == Const::Kind::null) fail(at, "expected a number, found `null`");
      if (value.kind == Const::Kind::nan) {
        const u64 sign = value.negative ? 1 : 0;
        const auto payload = static_cast<u64>(value.integer);
        if (single) {
          if (payload >= 1u << 23) fail(at, "the payload of the NaN does not fit an f32");
          return sign << 31 | 0x7f800000u | (payload == 0 ? 0x400000u : payload);
        }
        return sign << 63 | 0x7ff0000000000000u | (payload == 0 ? u64{1} << 51 : payload);
      }
      if (value.kind == Const::Kind::integer) {
        const i64 number = as_integer(value, at);
        const f64 real = static_cast<f64>(number);
        const bool exact = single ? static_cast<f32>(number) == real && std::fabs(real) < 0x1p62
                                  : std::fabs(real) < 0x1p62 && static_cast<i64>(real) == number;
        if (!exact) {
          fail(at, std::to_string(number) + " is not exactly an " + std::string(name_of(type)),
               "write it as a float to have it rounded");
        }
        return single ? std::bit_cast<u32>(static_cast<f32>(number)) : std::bit_cast<u64>(real);
      }
      if (!single) return std::bit_cast<u64>(value.real);
      f32 rounded = static_cast<f32>(value.real);
      if (value.is_literal) {
        read_float(unit_.file_of(value.literal).spelling(unit_.token_of(value.literal)), rounded);
        if (std::signbit(value.real)) rounded = -rounded;
      }
      if (std::isinf(rounded) && !std::isinf(value.real)) {
        fail(at, "the number is too large for f32");
      }
      return std::bit_cast<u32>(rounded);
    }
    default:
      if (value.kind != Const::Kind::null) {
        fail(at, "expected a reference, found a number", "`null` is the only constant reference");
      }
      return 0;
  }
}

}  // namespace atollvm::text
