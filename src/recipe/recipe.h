// A recipe says how one tensor comes from the source's: a graph of operations, immutable, with dtypes and shapes known.
// Building one reads no bytes; src/execute evaluates it block by block.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "pippin/dtype.h"
#include "pippin/error.h"
#include "quantize/mode.h"
#include "tensor/shape.h"

namespace pippin {

struct Recipe;
using RecipePtr = std::shared_ptr<const Recipe>;

// The operations. Inputs are Recipe::inputs, in the order named here. Axes count from 0 and are in range.
struct FromSource {
  uint32_t tensor;
};  // no input: index into Checkpoint::tensors()
struct Constant {
  double value;
};  // no input: the value everywhere, rounded to the dtype
struct Slice {
  int axis;
  int64_t begin, end, step;
};  // x[begin:end:step] along axis; step >= 1
struct Concat {
  int axis;
};  // all inputs joined along axis
struct Transpose {
  std::vector<int> permutation;
};                    // out dimension k is in dimension permutation[k]
struct Reshape {};    // the same elements in row-major order
struct Broadcast {};  // NumPy's: dimensions of 1, and those that are missing in front, repeat
struct Take {
  int axis;
  std::shared_ptr<const std::vector<int64_t>> places;
};               // out index k along the axis is in index places[k]
struct View {};  // the same bytes as another dtype; the last dimension rescales
struct Cast {};  // astype
// Elementwise x op y with NumPy broadcasting of y to x's shape. Both have the result's dtype. F16 and BF16 are computed
// in float32 and rounded once, as MLX does.
struct Arithmetic {
  enum class Op : uint8_t { add, subtract, multiply, divide, maximum } op;
};
// A function of each element, in F32. The sigmoid is MLX's CPU backend's to the bit, on every platform.
struct Function {
  enum class Kind : uint8_t { sigmoid, square_root } kind;
};
// Blocks of fp8 weights times their scales: inputs weight (F8_E4M3 bytes, U8 allowed) [.., rows, columns] and scale
// (F32 or BF16)
// [.., ceil(rows / block_rows), ceil(columns / block_columns)]. Per element: e4m3 value to BF16, times the scale, in
// the promoted type of BF16 and the scale's dtype, then cast to the recipe's dtype.
struct DequantizeBlocks {
  int64_t block_rows, block_columns;
};
// mx.dequantize: inputs packed (U32), scales and, in affine mode, biases.
struct Dequantize {
  QuantFormat format;
};
// One of the results of mx.quantize on a dense input. The planner joins the parts of one input into one job.
struct QuantizePart {
  QuantFormat format;
  enum class Part : uint8_t { weight, scales, biases } part;
};

// The L2 norm along an axis, which stays with length 1; F32. The sum of squares runs one by one, in order, in float32.
struct Norm {
  int axis;
};
// Of an F32 input the exponent field as U8: log2 + 127 of a power of two, which is an E8M0 scale.
struct Exponent {};
// Codes of `bits` (2, 4 or 8) out of U32 words, as U8; the last dimension grows. AWQ orders its 4-bit codes 0 2 4 6 1 3
// 5 7.
struct UnpackCodes {
  int bits;
  bool awq;
};
// U8 codes below 2^bits into U32 words, as MLX packs them: a little-endian bit stream along the last dimension.
struct PackCodes {
  int bits;
};

// Inputs x [n, k] and y [k, m] of one dtype (F32, F16, BF16): their product, summed in float32 one by one in the order
// of k and rounded once, which is what MLX's CPU backend does. Metal's order of summation is its own.
struct MatrixProduct {};
// No input: cos or sin of position x base^(-2 k / dims), F32 [positions, dims / 2], as MLX's CPU backend has it.
struct RotaryTable {
  enum class Kind : uint8_t { cosine, sine } kind;
  double base;
};

using RecipeOp = std::variant<FromSource, Constant, Slice, Concat, Transpose, Reshape, View, Cast, Arithmetic,
                              DequantizeBlocks, Dequantize, QuantizePart, Norm, Exponent, UnpackCodes, PackCodes,
                              Function, Broadcast, Take, MatrixProduct, RotaryTable>;

struct Recipe {
  RecipeOp op;
  DType dtype;
  Shape shape;
  std::vector<RecipePtr> inputs;
};

// Builders. Each checks its arguments against the inputs' shapes and dtypes; what does not fit is an error (mismatch)
// that names the shapes. They simplify what is trivial: a cast to the same dtype, a reshape to the same shape, a slice
// of everything, an identity transpose give their input back.
RecipePtr from_source(uint32_t tensor, DType dtype, Shape shape);
RecipePtr constant(double value, DType dtype, Shape shape);
Result<RecipePtr> slice(RecipePtr input, int axis, int64_t begin, int64_t end, int64_t step = 1);
Result<RecipePtr> concat(std::vector<RecipePtr> inputs, int axis);
Result<RecipePtr> stack(const std::vector<RecipePtr>& inputs, int axis);  // as reshape and concat
Result<RecipePtr> transpose(RecipePtr input, std::vector<int> permutation);
Result<RecipePtr> reshape(RecipePtr input, Shape shape);  // one dimension may be -1
Result<RecipePtr> view(RecipePtr input, DType dtype);
RecipePtr cast(RecipePtr input, DType dtype);
Result<RecipePtr> arithmetic(Arithmetic::Op op, RecipePtr x, RecipePtr y);
Result<RecipePtr> dequantize_blocks(RecipePtr weight, RecipePtr scale, int64_t block_rows, int64_t block_columns,
                                    DType dtype);
Result<RecipePtr> dequantize(const QuantFormat& format, RecipePtr packed, RecipePtr scales, RecipePtr biases,
                             DType dtype);
Result<RecipePtr> quantize_part(const QuantFormat& format, RecipePtr dense, QuantizePart::Part part);

Result<RecipePtr> function(Function::Kind kind, RecipePtr input);
Result<RecipePtr> broadcast(RecipePtr input, Shape shape);
Result<RecipePtr> take(RecipePtr input, int axis, std::vector<int64_t> places);
Result<RecipePtr> matrix_product(RecipePtr x, RecipePtr y);
Result<RecipePtr> rotary_table(RotaryTable::Kind kind, double base, int64_t dims, int64_t positions);
Result<RecipePtr> norm(RecipePtr input, int axis);
Result<RecipePtr> repeat(const RecipePtr& input, int axis, int64_t times);  // each element `times` times in a row
Result<RecipePtr> exponent(RecipePtr input);
Result<RecipePtr> unpack_codes(RecipePtr words, int bits, bool awq);
Result<RecipePtr> pack_codes(RecipePtr codes, int bits);

// Bytes of the result.
uint64_t byte_size(const Recipe& recipe);

// The recipe as one line of text: "transpose(0,2,3,1) of vision_tower.patch_embedding.weight". name_of_source gives
// names.
std::string describe(const Recipe& recipe, const std::vector<std::string>& source_names);

}  // namespace pippin
