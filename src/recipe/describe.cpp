// The text of a recipe, for reports and errors.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "recipe/recipe.h"

namespace pippin {
namespace {

std::string quant_text(const QuantFormat& format) {
  return fmt::format("{} {} bits, group {}", row_of(format.mode).name, format.bits, format.group_size);
}

// The operation's own text; its inputs follow after " of ".
struct OperationText {
  const Recipe& recipe;

  std::string operator()(const FromSource& op) const { return fmt::format("tensor {}", op.tensor); }
  std::string operator()(const Constant& op) const { return fmt::format("{}", op.value); }
  std::string operator()(const Slice& op) const {
    const std::string step = op.step == 1 ? "" : fmt::format(":{}", op.step);
    return fmt::format("slice({}:{}{} on axis {})", op.begin, op.end, step, op.axis);
  }
  std::string operator()(const Concat& op) const { return fmt::format("concat({})", op.axis); }
  std::string operator()(const Transpose& op) const {
    return fmt::format("transpose({})", fmt::join(op.permutation, ","));
  }
  std::string operator()(const Reshape&) const { return "reshape" + to_string(recipe.shape); }
  std::string operator()(const View&) const { return fmt::format("view({})", name_of(recipe.dtype)); }
  std::string operator()(const Cast&) const { return fmt::format("cast({})", name_of(recipe.dtype)); }
  std::string operator()(const Arithmetic& op) const {
    switch (op.op) {
      case Arithmetic::Op::add:
        return "sum";
      case Arithmetic::Op::subtract:
        return "difference";
      case Arithmetic::Op::multiply:
        return "product";
      case Arithmetic::Op::divide:
        return "quotient";
      case Arithmetic::Op::maximum:
        return "maximum";
    }
    return "arithmetic";
  }
  std::string operator()(const DequantizeBlocks& op) const {
    return fmt::format("dequantize({} x {} blocks to {})", op.block_rows, op.block_columns, name_of(recipe.dtype));
  }
  std::string operator()(const Dequantize& op) const {
    return fmt::format("dequantize({} to {})", quant_text(op.format), name_of(recipe.dtype));
  }
  std::string operator()(const QuantizePart& op) const {
    const char* part = op.part == QuantizePart::Part::weight   ? "weight"
                       : op.part == QuantizePart::Part::scales ? "scales"
                                                               : "biases";
    return fmt::format("quantize({}, {})", quant_text(op.format), part);
  }
  std::string operator()(const Norm& op) const { return fmt::format("norm({})", op.axis); }
  std::string operator()(const Exponent&) const { return "exponent"; }
  std::string operator()(const UnpackCodes& op) const {
    return fmt::format("unpack({} bits{})", op.bits, op.awq ? ", AWQ order" : "");
  }
  std::string operator()(const PackCodes& op) const { return fmt::format("pack({} bits)", op.bits); }
  std::string operator()(const Function& op) const {
    return op.kind == Function::Kind::sigmoid ? "sigmoid" : "square root";
  }
  std::string operator()(const MatrixProduct&) const { return "matrix product"; }
  std::string operator()(const RotaryTable& op) const {
    return fmt::format("rotary {} table{}", op.kind == RotaryTable::Kind::cosine ? "cosine" : "sine",
                       to_string(recipe.shape));
  }
  std::string operator()(const Broadcast&) const { return "broadcast" + to_string(recipe.shape); }
  std::string operator()(const Take& op) const {
    return fmt::format("take({} places on axis {})", op.places->size(), op.axis);
  }
};

constexpr size_t listed_inputs = 4;  // of a stack of hundreds of experts, the first and the last tell enough

}  // namespace

std::string describe(const Recipe& recipe, const std::vector<std::string>& source_names) {
  if (const auto* source = std::get_if<FromSource>(&recipe.op); source && source->tensor < source_names.size())
    return source_names[source->tensor];
  std::string text = std::visit(OperationText{recipe}, recipe.op);
  const auto& inputs = recipe.inputs;
  if (inputs.empty()) return text;
  if (inputs.size() == 1) return text + " of " + describe(*inputs[0], source_names);
  std::string list;
  for (size_t i = 0; i < inputs.size(); i++) {
    if (inputs.size() > listed_inputs && i == 1) {
      list += fmt::format(", ... {} more ...", inputs.size() - 2);
      i = inputs.size() - 1;
    }
    list += (i == 0 ? "" : ", ") + describe(*inputs[i], source_names);
  }
  return text + " of [" + list + "]";
}

}  // namespace pippin
