// Random damage to valid modules, the same for the same seed.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "vm/module/module.hpp"

namespace atollvm::test {

class Mutator {
 public:
  explicit Mutator(u32 seed) : random_(seed) {}

  u32 below(usize limit) { return static_cast<u32>(random_() % limit); }

  // One small change.
  void change(std::string& file, const std::vector<std::string>& all) {
    static constexpr u8 lies[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x40, 0x3f};
    if (file.empty()) file.assign(1, '\0');
    const usize at = below(file.size());
    switch (below(9)) {
      case 0:
      case 1:
        file[at] = static_cast<char>(file[at] ^ 1 << below(8));
        break;
      case 2:
        file[at] = static_cast<char>(lies[below(std::size(lies))]);
        break;
      case 3:
        file.resize(at);
        break;
      case 4: {  // the beginning of one, the end of another
        const std::string& other = all[below(all.size())];
        file = file.substr(0, at) + other.substr(below(other.size()));
        break;
      }
      case 5:
        file.erase(at, 1 + below(12));
        break;
      case 6:
        file.insert(at, 1 + below(12), static_cast<char>(lies[below(std::size(lies))]));
        break;
      case 7: {  // a number becomes the largest of 32 bits
        file.replace(at, 1, "\xff\xff\xff\xff\x0f");
        break;
      }
      default: {  // a piece of the file again
        const usize size = std::min<usize>(1 + below(40), file.size() - at);
        file.insert(below(file.size()), file.substr(at, size));
        break;
      }
    }
  }

  // One change of the code: the sizes stay right, so that it is the verifier that has to see it.
  void change_code(mod::Module& module) {
    static constexpr u16 fields[] = {0, 1, 2, 7, 8, 9, 19, 20, 21, 0x7fff, 0xffff};
    isa::Word& word = module.code[below(module.code.size())];
    const u32 shift = 16 * below(4);
    switch (below(6)) {
      case 0:
        word ^= isa::Word{1} << below(64);
        break;
      case 1:  // another operation
        word = (word & ~isa::Word{0xffff}) | below(isa::op_count);
        break;
      case 2:
        word = module.code[below(module.code.size())];
        break;
      case 3:
        if (!module.labels.empty()) {
          mod::Label& label = module.labels[below(module.labels.size())];
          if (below(2) != 0) label.pc += below(3) - 1;
          label.defined = static_cast<u16>(label.defined + below(3) - 1);
        }
        break;
      case 4: {
        mod::Function& function = module.functions[below(module.functions.size())];
        function.frame_slots = static_cast<u16>(function.frame_slots + below(5) - 2);
        function.local_slots = static_cast<u16>(function.local_slots + below(3) - 1);
        function.type = below(module.types.size() + 1);
        break;
      }
      default:
        word = (word & ~(isa::Word{0xffff} << shift)) | isa::Word{fields[below(std::size(fields))]}
                                                            << shift;
        break;
    }
  }

 private:
  std::mt19937 random_;
};

}  // namespace atollvm::test
