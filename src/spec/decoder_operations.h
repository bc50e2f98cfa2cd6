// The operations that a spec's [decoder] may use: their names and arguments. What they compute, the runtime knows;
// architectures/README.md has the manual.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/expression.h"

namespace pippin {

struct OperationArgument {
  enum class Kind {
    array,   // a value of the program
    arrays,  // a list of them, all inputs in its order; an operation has one list, and no other array
    module,  // the path of a module or parameter, relative to where the program stands; or none
    plain,   // a number, text, list, object or none
  };
  std::string name;
  Kind kind = Kind::plain;
  bool required = true;
  Value fallback;  // where it is left out
};

struct DecoderOperation {
  std::string name;
  std::vector<OperationArgument> arguments;
  std::string signature;  // as in the manual: "linear(*x, @at)"
};

// All operations, sorted by name.
std::span<const DecoderOperation> decoder_operations();

// One of them, or null.
const DecoderOperation* find_decoder_operation(std::string_view name);

}  // namespace pippin
