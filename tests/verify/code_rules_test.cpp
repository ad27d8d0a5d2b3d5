// The verifier's rules for code, each with what it accepts and what it refuses.
#include "tests/verify/expect.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

// Types of universe().
constexpr u32 no_values = 0;   // () -> ()
constexpr u32 two_to_one = 1;  // (i32, i32) -> (i32)
constexpr u32 to_pair = 2;     // () -> (i32, i64)
constexpr u32 to_one = 3;      // () -> (i32)

std::string word(u32 at, const char* op) {
  return "function 2, word " + std::to_string(at) + ", " + op;
}

}  // namespace

TEST_CASE("frame: locals hold the parameters, the frame holds the locals") {
  accepts(with(std::move(CodeBuilder(two_to_one, 2, 2).emit(Op::ret_1, {1}))));
  refuses(with(std::move(CodeBuilder(two_to_one, 1, 2).emit(Op::ret_1, {0}))), "function 2",
          "1 local slots are fewer than the 2 slots of the parameters");
  refuses(with(std::move(CodeBuilder(two_to_one, 3, 2).emit(Op::ret_1, {0}))), "function 2",
          "a frame of 2 slots is smaller than the 3 local slots");
  accepts(with(std::move(CodeBuilder(to_one, 0xffff, 0xffff).emit(Op::ret_1, {0xfffe}))));
}

TEST_CASE("place: the name of the function, made fit to print") {
  mod::Module module = with(std::move(CodeBuilder(to_one, 0, 1).emit(Op::ret_1, {0})));
  module.names = {{mod::NameSpace::function, 2, 0, "main\x1b[31m"}};
  refuses(module, "function main?[31m (2), word 0, ret.1", "slot 0 is used");
  module.names[0].text = std::string(70, 'x');
  refuses(module, "function " + std::string(64, 'x') + "... (2), word 0", "slot 0 is used");
}

TEST_CASE("end: control never runs off the code") {
  refuses(with(std::move(CodeBuilder(no_values, 0, 0).emit(Op::nop))), "function 2",
          "control runs off the end of the code");
  CodeBuilder branch(no_values, 1, 1);
  const Label start = branch.label();
  branch.bind(start).emit(Op::back_i32_eq_i, {0, 0, start});
  refuses(with(branch), "function 2", "control runs off the end of the code");
  CodeBuilder loop(no_values, 0, 0);
  const Label itself = loop.label();
  accepts(with(loop.bind(itself).emit(Op::back, {itself})));
  accepts(with(std::move(CodeBuilder(no_values, 0, 0).emit(Op::unreachable))));
}

TEST_CASE("reach: after an end of control only a label may follow") {
  CodeBuilder dead(no_values, 0, 0);
  refuses(with(dead.emit(Op::ret).emit(Op::nop).emit(Op::ret)), word(1, "nop"),
          "code that cannot be reached");
  CodeBuilder alive(no_values, 1, 1);
  const Label label = alive.label();
  alive.emit(Op::br_i32_eq_i, {0, 0, label}).emit(Op::ret).bind(label).emit(Op::ret);
  accepts(with(alive));
}

TEST_CASE("labels: sorted, inside the code, on instructions, with a branch") {
  CodeBuilder f(no_values, 1, 4);
  const Label one = f.label();
  const Label two = f.label(3);
  f.emit(Op::br_i32_eq_i, {0, 0, one});                            // 0
  f.emit(Op::i64_const_long, {1, 5});                              // 1, 2
  f.emit(Op::mov, {2, 1}).bind(two).emit(Op::nop);                 // 3, 4
  f.emit(Op::back_i32_eq_i, {0, 0, two}).bind(one).emit(Op::ret);  // 5, 6
  accepts(with(f));

  SUBCASE("order") {
    mod::Module module = with(f);
    std::swap(added_label(module, 0), added_label(module, 1));
    refuses(module, "function 2, label 1 at word 4",
            "labels are not in order: the label before is at word 6");
    added_label(module, 0).pc = 4;
    refuses(module, "function 2, label 1 at word 4", "the label before is at word 4");
  }
  SUBCASE("outside") {
    mod::Module module = with(f);
    added_label(module, 1).pc = 7;
    refuses(module, "function 2, label 1 at word 7", "the function has only 7 words");
  }
  SUBCASE("inside of an instruction") {
    mod::Module module = with(f);
    added_label(module, 0).pc = 2;
    refuses(module, "function 2, label 0 at word 2", "a label inside of an instruction");
  }
  SUBCASE("inside of the last instruction") {
    CodeBuilder last(no_values, 1, 1);
    const Label in = last.label();
    last.emit(Op::br_i32_eq_i, {0, 0, in}).bind(in).emit(Op::i64_const_long, {0, 1});
    mod::Module module = with(last);
    added_label(module, 0).pc = 2;
    added_word(module, 0) = isa::encode(Op::br_i32_eq_i, 0, 0, 2);
    refuses(module, "function 2, label 0 at word 2", "a label inside of an instruction");
  }
  SUBCASE("without a branch") {
    mod::Module module = with(f);
    added_word(module, 5) = isa::encode(Op::nop);
    refuses(module, "function 2, label 0 at word 4", "no branch goes to this label");
  }
  SUBCASE("defined slots") {
    mod::Module module = with(f);
    added_label(module, 0).defined = 5;
    refuses(module, "function 2, label 0 at word 4", "5 defined slots are outside of 1..4");
    added_label(module, 0).defined = 0;
    refuses(module, "function 2, label 0 at word 4", "0 defined slots are outside of 1..4");
  }
}

TEST_CASE("definition: a use needs a definition on the way") {
  accepts(
      with(std::move(CodeBuilder(to_one, 0, 1).emit(Op::i32_const, {0, 1}).emit(Op::ret_1, {0}))));
  refuses(with(std::move(
              CodeBuilder(to_one, 0, 1).emit(Op::i32_add_i, {0, 0, 1}).emit(Op::ret_1, {0}))),
          word(0, "i32.add.i"), "slot 0 is used, but not defined here");
  // Locals above the parameters are zero at entry.
  accepts(with(std::move(CodeBuilder(two_to_one, 4, 4).emit(Op::ret_1, {3}))));
  // use_def needs a definition too.
  refuses(with(std::move(
              CodeBuilder(two_to_one, 2, 3).emit(Op::mov_if, {2, 0, 1}).emit(Op::ret_1, {0}))),
          word(0, "mov.if"), "slot 2 is used");
  // Out of order: slot 3 before slot 2.
  CodeBuilder gaps(two_to_one, 2, 5);
  gaps.emit(Op::mov, {3, 0}).emit(Op::mov, {4, 3}).emit(Op::mov, {2, 4});
  accepts(with(gaps.emit(Op::mov, {0, 3}).emit(Op::ret_1, {2})));
}

TEST_CASE("definition: a label keeps exactly its record") {
  const auto build = [](u32 defined, bool define_before, u32 used) {
    CodeBuilder f(two_to_one, 2, 6);
    const Label label = f.label(defined);
    f.emit(Op::mov, {2, 0});
    if (define_before) f.emit(Op::mov, {3, 0});
    f.emit(Op::br_i32_eq, {0, 1, label}).emit(Op::mov, {3, 1}).emit(Op::mov, {5, 1});
    f.bind(label).emit(Op::ret_1, {used});
    return with(f);
  };
  accepts(build(3, false, 2));
  accepts(build(4, true, 3));
  refuses(build(4, false, 3), word(1, "br.i32.eq"),
          "slot 3 is not defined at the branch; the label at word 4 needs 4 slots");
  refuses(build(3, true, 3), word(5, "ret.1"), "slot 3 is used");  // defined, but not by the label
  refuses(build(3, false, 5), word(4, "ret.1"), "slot 5 is used");
}

TEST_CASE("definition: falling into a label") {
  CodeBuilder f(two_to_one, 2, 4);
  const Label label = f.label(3);
  f.bind(label).emit(Op::mov, {2, 0}).emit(Op::back_i32_eq, {0, 1, label}).emit(Op::ret_1, {2});
  refuses(with(f), word(0, "mov"),
          "slot 2 is not defined on the way into the label, which needs 3 slots");
}

TEST_CASE("definition: backward branches need the label's slots") {
  const auto build = [](bool call_before) {
    CodeBuilder f(two_to_one, 2, 6);
    const Label label = f.label(3);
    f.emit(Op::mov, {2, 0}).bind(label).emit(Op::nop);
    if (call_before) f.emit(Op::mov, {3, 0}).emit(Op::mov, {4, 0}).emit(Op::call, {3, 1});
    return with(f.emit(Op::back_i32_eq, {0, 1, label}).emit(Op::ret_1, {0}));
  };
  accepts(build(false));
  refuses(build(true), word(5, "back.i32.eq"), "slot 2 is not defined at the branch");
}

TEST_CASE("br_table: targets") {
  const auto build = [](u32 targets) {
    CodeBuilder f(no_values, 1, 1);
    const Label label = f.label();
    const Label back = f.label();
    std::vector<Arg> args = {0};
    for (u32 i = 0; i < targets; ++i) args.push_back(label);
    f.emit(Op::br_i32_eq_i, {0, 0, label}).bind(back).emit(Op::br_table, args);
    return with(f.bind(label).emit(Op::back_i32_eq_i, {0, 0, back}).emit(Op::ret));
  };
  accepts(build(1));
  accepts(build(2));
  accepts(build(501));
  SUBCASE("none") {
    mod::Module module = build(1);
    added_word(module, 1) = isa::encode_wide(Op::br_table, 0, 0);
    refuses(module, word(1, "br_table"), "a table without targets");
  }
  SUBCASE("too many for the code") {
    mod::Module module = build(1);
    added_word(module, 1) = isa::encode_wide(Op::br_table, 0, 0xffff'ffff);
    refuses(module, word(1, "br_table"),
            "the instruction takes 2147483649 words, the function has only 4 more");
  }
  SUBCASE("unused half") {
    mod::Module module = build(1);
    added_word(module, 2) |= isa::Word{2} << 32;
    refuses(module, word(1, "br_table"), "the unused half of the last word is not zero");
  }
  SUBCASE("backward, into itself, outside, at no label") {
    mod::Module module = build(1);
    added_word(module, 2) = 0;
    refuses(module, word(1, "br_table"), "a distance of 0 words forward leads into the branch");
    added_word(module, 2) = 1;
    refuses(module, word(1, "br_table"), "leads into the branch of 2 words");
    added_word(module, 2) = 0xffff'ffff;
    refuses(module, word(1, "br_table"), "leads out of the function");
    added_word(module, 2) = 3;
    refuses(module, word(1, "br_table"), "the target at word 4 is not a label");
  }
}

TEST_CASE("calls: the window") {
  const auto build = [](u32 window, u32 frame, u32 arguments = 2) {
    CodeBuilder f(two_to_one, 2, frame);
    for (u32 i = 0; i < arguments; ++i) f.emit(Op::mov, {window + i, i});
    return with(f.emit(Op::call, {window, 1}).emit(Op::ret_1, {window}));
  };
  accepts(build(3, 5));
  refuses(build(2, 5), word(2, "call"),
          "the window at slot 2 leaves no slot for the header above the 2 locals");
  refuses(build(3, 4, 1), word(1, "call"),
          "the window at slot 3 with 2 slots is outside of the frame of 4 slots");
  refuses(build(3, 5, 1), word(1, "call"), "slot 4 is used, but not defined here");
  // Results need room too: () -> (i32, i64) takes no argument, but two slots.
  CodeBuilder pair(no_values, 0, 2);
  pair.emit(Op::i32_const, {0, 1}).emit(Op::call_ref, {1, to_pair, 0}).emit(Op::ret);
  refuses(with(pair), word(1, "call.ref"),
          "the window at slot 1 with 2 slots is outside of the frame of 2 slots");
  refuses(build(0xffff, 0xffff, 0), word(0, "call"), "is outside of the frame");
}

TEST_CASE("calls: what they leave defined") {
  const auto build = [](u32 used) {
    CodeBuilder f(two_to_one, 2, 12);
    for (u32 slot = 2; slot < 10; ++slot) f.emit(Op::mov, {slot, 0});
    return with(f.emit(Op::call, {6, 1}).emit(Op::ret_1, {used}));
  };
  accepts(build(4));
  accepts(build(6));                                      // the result
  refuses(build(5), word(9, "ret.1"), "slot 5 is used");  // the header
  refuses(build(7), word(9, "ret.1"), "slot 7 is used");  // an argument
  refuses(build(9), word(9, "ret.1"), "slot 9 is used");  // above
  CodeBuilder pair(to_pair, 1, 8);
  pair.emit(Op::call_ref, {3, to_pair, 0}).emit(Op::ret_n, {3, 2});
  accepts(with(pair));
}

TEST_CASE("calls: imported and own functions have their own forms") {
  const auto build = [](Op op, u32 function) {
    CodeBuilder f(two_to_one, 2, 5);
    f.emit(Op::mov, {3, 0}).emit(Op::mov, {4, 0});
    return with(f.emit(op, {3, function}).emit(Op::ret_1, {3}));
  };
  accepts(build(Op::call, 1));
  accepts(build(Op::call_import, 0));
  refuses(build(Op::call, 0), word(2, "call"), "function 0 is imported");
  refuses(build(Op::call_import, 1), word(2, "call.import"), "imported function 1 does not exist");
}

TEST_CASE("calls: the copy of the window") {
  for (Op op : {Op::call_table, Op::call_ref, Op::tail_table, Op::tail_ref}) {
    u32 at = 0;
    mod::Module module = with(op_function(op, &at));
    added_word(module, at + 1) += 1 << 16;
    const u32 window = isa::field_a(added_word(module, at));
    refuses(module, word(at, isa::info(op).name.data()),
            "the copy of the window is " + std::to_string(window + 1) + ", but the window is " +
                std::to_string(window));
  }
}

TEST_CASE("calls: the table holds functions") {
  for (Op op : {Op::call_table, Op::tail_table}) {
    u32 at = 0;
    mod::Module module = with(op_function(op, &at));
    module.tables[0].type.element = ValType::externref;
    refuses(module, word(at, isa::info(op).name.data()), "table 1 does not hold functions");
  }
}

TEST_CASE("tail calls: arguments defined, same results") {
  const auto build = [](u32 type, u32 window, u32 locals, u32 frame) {
    return with(std::move(CodeBuilder(type, locals, frame).emit(Op::tail, {window, 1})));
  };
  accepts(build(two_to_one, 0, 2, 2));
  accepts(build(to_one, 1, 3, 3));
  refuses(build(two_to_one, 2, 3, 5), word(0, "tail"), "slot 3 is used");
  refuses(build(two_to_one, 1, 2, 2), word(0, "tail"), "1..2 are outside of the frame of 2 slots");
  refuses(build(no_values, 0, 2, 2), word(0, "tail"),
          "the results of type 1 are not those of the function's type 0");
  refuses(build(to_pair, 0, 2, 2), word(0, "tail"), "the results of type 1 are not those");
  for (Op op : {Op::tail_import, Op::tail_table, Op::tail_ref}) {
    u32 at = 0;
    mod::Module module = with(op_function(op, &at));
    added(module).type = no_values;
    refuses(module, word(at, isa::info(op).name.data()), "the results of type 1 are not those");
  }
}

TEST_CASE("returns: as many slots as the type says") {
  const auto build = [](u32 type, Op op, std::initializer_list<Arg> args) {
    return with(std::move(CodeBuilder(type, 4, 6).emit(op, args)));
  };
  accepts(build(no_values, Op::ret, {}));
  accepts(build(to_one, Op::ret_1, {0}));
  accepts(build(to_pair, Op::ret_n, {2, 2}));
  refuses(build(to_one, Op::ret, {}), word(0, "ret"),
          "returns 0 slots, but the function's type has 1");
  refuses(build(no_values, Op::ret_1, {0}), word(0, "ret.1"), "returns 1 slots, but");
  refuses(build(to_pair, Op::ret_1, {0}), word(0, "ret.1"), "returns 1 slots, but");
  refuses(build(to_pair, Op::ret_n, {1, 3}), word(0, "ret.n"), "returns 3 slots, but");
  refuses(build(to_one, Op::ret_n, {1, 1}), word(0, "ret.n"), "a count of 1: ret and ret.1");
  refuses(build(no_values, Op::ret_n, {1, 0}), word(0, "ret.n"), "a count of 0: ret and ret.1");
  refuses(build(to_pair, Op::ret_n, {3, 2}), word(0, "ret.n"), "slot 4 is used");
  refuses(build(to_pair, Op::ret_n, {5, 2}), word(0, "ret.n"), "5..6 are outside of the frame");
}

TEST_CASE("mov.n: a count, both ranges in the frame, defines its range") {
  const auto build = [](u32 to, u32 from, u32 count, u32 used) {
    CodeBuilder f(to_one, 4, 12);
    return with(f.emit(Op::mov_n, {to, from, count}).emit(Op::ret_1, {used}));
  };
  accepts(build(4, 0, 4, 7));
  accepts(build(6, 0, 4, 9));
  accepts(build(1, 0, 3, 0));
  refuses(build(6, 0, 4, 5), word(1, "ret.1"), "slot 5 is used");
  refuses(build(6, 0, 4, 10), word(1, "ret.1"), "slot 10 is used");
  refuses(build(4, 0, 0, 0), word(0, "mov.n"), "the count must be at least 1");
  refuses(build(4, 1, 4, 0), word(0, "mov.n"), "slot 4 is used");
  refuses(build(9, 0, 4, 0), word(0, "mov.n"), "slots 9..12 are outside of the frame of 12 slots");
  refuses(build(0, 9, 4, 0), word(0, "mov.n"), "slots 9..12 are outside of the frame of 12 slots");
  refuses(build(0xffff, 0, 0xffff, 0), word(0, "mov.n"), "are outside of the frame");
}

TEST_CASE("globals: imported and own have their own forms, constants stay") {
  const auto build = [](Op op, u32 index) {
    const bool sets = op == Op::global_set || op == Op::global_set_import;
    CodeBuilder f(to_one, 1, 1);
    if (sets) return with(f.emit(op, {index, 0}).emit(Op::ret_1, {0}));
    return with(f.emit(op, {0, index}).emit(Op::ret_1, {0}));
  };
  for (Op op : {Op::global_get, Op::global_set}) {
    accepts(build(op, 1));
    refuses(build(op, 0), word(0, isa::info(op).name.data()),
            "global 0 is imported: the .import form is for it");
  }
  for (Op op : {Op::global_get_import, Op::global_set_import}) {
    accepts(build(op, 0));
    refuses(build(op, 1), word(0, isa::info(op).name.data()),
            "global 1 is not imported: the plain form is for it");
  }
  mod::Module module = build(Op::global_set, 1);
  module.globals[0].type.is_mutable = false;
  refuses(module, word(0, "global.set"), "global 1 cannot be changed");
  module = build(Op::global_set_import, 0);
  module.imports[1].global.is_mutable = false;
  refuses(module, word(0, "global.set.import"), "global 0 cannot be changed");
  module = build(Op::global_get, 1);
  module.globals[0].type.is_mutable = false;
  accepts(module);
}

TEST_CASE("tables: copies and segments of the same type") {
  u32 at = 0;
  mod::Module module = with(op_function(Op::table_copy, &at));
  added_word(module, at + 1) = isa::encode_ext(1, 0);
  accepts(module);
  module.tables[0].type.element = ValType::externref;
  refuses(module, word(at, "table.copy"), "tables 1 and 0 have different types");
  module = with(op_function(Op::table_init, &at));
  module.tables[0].type.element = ValType::externref;
  refuses(module, word(at, "table.init"), "element segment 0 and table 1 have different types");
}

TEST_CASE("memory: a long offset is below 2^32") {
  for (Op op : {Op::i32_load_long, Op::f64_store_long}) {
    u32 at = 0;
    mod::Module module = with(op_function(op, &at));
    added_word(module, at + 1) = 0xffff'ffff;
    accepts(module);
    added_word(module, at + 1) = 0x1'0000'0000;
    refuses(module, word(at, isa::info(op).name.data()), "offset 4294967296 is not below 2^32");
  }
}
