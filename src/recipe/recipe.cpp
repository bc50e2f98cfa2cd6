#include "recipe/recipe.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "quantize/quantize.h"

namespace pippin {
namespace {

RecipePtr make(RecipeOp op, DType dtype, Shape shape, std::vector<RecipePtr> inputs) {
  return std::make_shared<const Recipe>(Recipe{std::move(op), dtype, std::move(shape), std::move(inputs)});
}

tl::unexpected<Error> misfit(std::string rule, std::string value) {
  return fail(ErrorTag::mismatch, std::move(rule), std::move(value),
              "compare the tensors' shapes with what the architecture's spec expects");
}

std::string text_of(const Recipe& recipe) {
  return fmt::format("{}{}", name_of(recipe.dtype), to_string(recipe.shape));
}

int rank_of(const RecipePtr& recipe) {
  return static_cast<int>(recipe->shape.size());
}

bool is_float_of_matrices(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

// Replaces the one -1 of a shape, so that the shape has `count` elements.
Result<Shape> solve(Shape shape, int64_t count, const Recipe& input) {
  const auto refuse = [&] {
    return misfit("a reshape keeps the number of elements", fmt::format("{} to {}", text_of(input), to_string(shape)));
  };
  const auto unknown = std::find(shape.begin(), shape.end(), -1);
  if (unknown != shape.end()) {
    *unknown = 1;
    const auto others = checked_element_count(shape);
    *unknown = -1;
    if (!others || *others == 0 || count % *others != 0) return refuse();
    *unknown = count / *others;
  }
  if (checked_element_count(shape) != count) return refuse();
  return shape;
}

bool is_identity(const std::vector<int>& permutation) {
  for (size_t k = 0; k < permutation.size(); k++) {
    if (permutation[k] != static_cast<int>(k)) return false;
  }
  return true;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.size() > to.size()) return false;
  const size_t lead = to.size() - from.size();
  for (size_t k = 0; k < from.size(); k++) {
    if (from[k] != 1 && from[k] != to[lead + k]) return false;
  }
  return true;
}

int64_t ceil_divide(int64_t a, int64_t b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

}  // namespace

RecipePtr from_source(uint32_t tensor, DType dtype, Shape shape) {
  return make(FromSource{tensor}, dtype, std::move(shape), {});
}

RecipePtr constant(double value, DType dtype, Shape shape) {
  return make(Constant{value}, dtype, std::move(shape), {});
}

Result<RecipePtr> slice(RecipePtr input, int axis, int64_t begin, int64_t end, int64_t step) {
  if (axis < 0 || axis >= rank_of(input))
    return misfit("a slice needs an axis of its input", fmt::format("axis {} of {}", axis, text_of(*input)));
  const int64_t dimension = input->shape[static_cast<size_t>(axis)];
  if (begin < 0 || begin > end || end > dimension || step < 1)
    return misfit("a slice lies inside its axis and has a step of 1 or more",
                  fmt::format("[{}:{}:{}] along axis {} of {}", begin, end, step, axis, text_of(*input)));
  if (begin == 0 && end == dimension && step == 1) return input;
  Shape shape = input->shape;
  shape[static_cast<size_t>(axis)] = ceil_divide(end - begin, step);
  const DType dtype = input->dtype;
  return make(Slice{axis, begin, end, step}, dtype, std::move(shape), {std::move(input)});
}

Result<RecipePtr> concat(std::vector<RecipePtr> inputs, int axis) {
  if (inputs.empty()) return misfit("a concat needs inputs", "none given");
  const RecipePtr first = inputs.front();
  if (axis < 0 || axis >= rank_of(first))
    return misfit("a concat needs an axis of its inputs", fmt::format("axis {} of {}", axis, text_of(*first)));
  Shape shape = first->shape;
  int64_t& total = shape[static_cast<size_t>(axis)];
  for (size_t i = 1; i < inputs.size(); i++) {
    Shape other = inputs[i]->shape;
    const bool same_rank = other.size() == shape.size();
    const int64_t length = same_rank ? other[static_cast<size_t>(axis)] : 0;
    if (same_rank) other[static_cast<size_t>(axis)] = first->shape[static_cast<size_t>(axis)];
    if (inputs[i]->dtype != first->dtype || other != first->shape || __builtin_add_overflow(total, length, &total))
      return misfit(
          "all inputs of a concat have one dtype, and one shape but for the axis",
          fmt::format("input 0 is {}, input {} is {}, axis {}", text_of(*first), i, text_of(*inputs[i]), axis));
  }
  if (!checked_element_count(shape))
    return misfit("a tensor has less than 2^63 elements", fmt::format("a concat gives {}", to_string(shape)));
  if (inputs.size() == 1) return first;
  return make(Concat{axis}, first->dtype, std::move(shape), std::move(inputs));
}

Result<RecipePtr> stack(const std::vector<RecipePtr>& inputs, int axis) {
  std::vector<RecipePtr> rows;
  rows.reserve(inputs.size());
  for (const auto& input : inputs) {
    if (axis < 0 || axis > rank_of(input))
      return misfit("a stack's axis is one of the result's", fmt::format("axis {} over {}", axis, text_of(*input)));
    Shape shape = input->shape;
    shape.insert(shape.begin() + axis, 1);
    PIPPIN_TRY(auto row, reshape(input, std::move(shape)));
    rows.push_back(std::move(row));
  }
  return concat(std::move(rows), axis);
}

Result<RecipePtr> transpose(RecipePtr input, std::vector<int> permutation) {
  std::vector<int> sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  if (rank_of(input) != static_cast<int>(permutation.size()) || !is_identity(sorted))
    return misfit("a transpose names every axis of its input once",
                  fmt::format("({}) of {}", fmt::join(permutation, ","), text_of(*input)));
  if (is_identity(permutation)) return input;
  Shape shape;
  for (const int axis : permutation) shape.push_back(input->shape[static_cast<size_t>(axis)]);
  const DType dtype = input->dtype;
  return make(Transpose{std::move(permutation)}, dtype, std::move(shape), {std::move(input)});
}

Result<RecipePtr> reshape(RecipePtr input, Shape shape) {
  PIPPIN_TRY(shape, solve(std::move(shape), element_count(input->shape), *input));
  if (shape == input->shape) return input;
  if (std::holds_alternative<Reshape>(input->op)) return reshape(input->inputs[0], std::move(shape));
  const DType dtype = input->dtype;
  return make(Reshape{}, dtype, std::move(shape), {std::move(input)});
}

Result<RecipePtr> view(RecipePtr input, DType dtype) {
  if (dtype == input->dtype) return input;
  const auto from = static_cast<int64_t>(size_of(input->dtype));
  const auto to = static_cast<int64_t>(size_of(dtype));
  Shape shape = input->shape;
  if (from != to) {
    const bool fits =
        !shape.empty() && !__builtin_mul_overflow(shape.back(), from, &shape.back()) && shape.back() % to == 0;
    if (fits) shape.back() /= to;
    if (!fits || !checked_element_count(shape))
      return misfit("a view's last dimension is a whole number of the new elements",
                    fmt::format("{} as {}", text_of(*input), name_of(dtype)));
  }
  return make(View{}, dtype, std::move(shape), {std::move(input)});
}

RecipePtr cast(RecipePtr input, DType dtype) {
  if (dtype == input->dtype) return input;
  Shape shape = input->shape;
  return make(Cast{}, dtype, std::move(shape), {std::move(input)});
}

Result<RecipePtr> arithmetic(Arithmetic::Op op, RecipePtr x, RecipePtr y) {
  if (x->dtype != y->dtype || !is_floating(x->dtype) || !broadcasts_to(y->shape, x->shape))
    return misfit("arithmetic takes two floating inputs of one dtype, the second broadcast to the first",
                  fmt::format("{} and {}", text_of(*x), text_of(*y)));
  const DType dtype = x->dtype;
  Shape shape = x->shape;
  return make(Arithmetic{op}, dtype, std::move(shape), {std::move(x), std::move(y)});
}

Result<RecipePtr> dequantize_blocks(RecipePtr weight, RecipePtr scale, int64_t block_rows, int64_t block_columns,
                                    DType dtype) {
  if (scale->dtype == DType::F16) scale = cast(std::move(scale), DType::F32);  // as MLX takes it beside BF16
  const bool dtypes = (weight->dtype == DType::F8_E4M3 || weight->dtype == DType::U8) &&
                      (scale->dtype == DType::F32 || scale->dtype == DType::BF16) && is_floating(dtype);
  bool shapes = rank_of(weight) >= 2 && block_rows > 0 && block_columns > 0;
  if (shapes) {
    Shape blocks = weight->shape;
    int64_t& rows = blocks[blocks.size() - 2];
    rows = ceil_divide(rows, block_rows);
    blocks.back() = ceil_divide(blocks.back(), block_columns);
    shapes = blocks == scale->shape;
  }
  if (!dtypes || !shapes)
    return misfit("fp8 weights (F8_E4M3) have one floating point scale a block",
                  fmt::format("weight {}, scale {}, blocks of {} x {}, to {}", text_of(*weight), text_of(*scale),
                              block_rows, block_columns, name_of(dtype)));
  Shape shape = weight->shape;
  return make(DequantizeBlocks{block_rows, block_columns}, dtype, std::move(shape),
              {std::move(weight), std::move(scale)});
}

Result<RecipePtr> dequantize(const QuantFormat& format, RecipePtr packed, RecipePtr scales, RecipePtr biases,
                             DType dtype) {
  PIPPIN_CHECK(check(format));
  const bool affine = row_of(format.mode).has_biases;
  const auto refuse = [&] {
    return misfit("packed weights, scales and biases fit each other",
                  fmt::format("{} {} bits, group {}: packed {}, scales {}, biases {}, to {}", row_of(format.mode).name,
                              format.bits, format.group_size, text_of(*packed), text_of(*scales),
                              biases ? text_of(*biases) : "none", name_of(dtype)));
  };
  const bool dtypes =
      packed->dtype == DType::U32 && is_float_of_matrices(dtype) &&
      (affine ? scales->dtype == dtype
              : scales->dtype == DType::U8 || scales->dtype == DType::F8_E8M0 || scales->dtype == DType::F8_E4M3);
  if (!dtypes || affine != (biases != nullptr) || packed->shape.empty() || scales->shape.empty()) return refuse();
  if (affine && (biases->dtype != scales->dtype || biases->shape != scales->shape)) return refuse();
  Shape shape = scales->shape;
  if (__builtin_mul_overflow(shape.back(), static_cast<int64_t>(format.group_size), &shape.back())) return refuse();
  Shape words = shape;
  words.back() = packed_row(format, shape.back()).words;
  if (words != packed->shape) return refuse();
  std::vector<RecipePtr> inputs{std::move(packed), std::move(scales)};
  if (affine) inputs.push_back(std::move(biases));
  return make(Dequantize{format}, dtype, std::move(shape), std::move(inputs));
}

Result<RecipePtr> quantize_part(const QuantFormat& format, RecipePtr dense, QuantizePart::Part part) {
  PIPPIN_CHECK(check(format));
  const bool affine = row_of(format.mode).has_biases;
  if (rank_of(dense) < 2 || !is_float_of_matrices(dense->dtype) || dense->shape.back() % format.group_size != 0)
    return misfit("quantized are F32, F16 or BF16 matrices whose rows are whole groups",
                  fmt::format("{} in groups of {}", text_of(*dense), format.group_size));
  if (part == QuantizePart::Part::biases && !affine)
    return misfit("only affine mode has biases", std::string(row_of(format.mode).name));
  const PackedRow row = packed_row(format, dense->shape.back());
  const bool weight = part == QuantizePart::Part::weight;
  Shape shape = dense->shape;
  shape.back() = weight ? row.words : row.groups;
  const DType dtype = weight ? DType::U32 : affine ? dense->dtype : DType::U8;
  return make(QuantizePart{format, part}, dtype, std::move(shape), {std::move(dense)});
}

Result<RecipePtr> norm(RecipePtr input, int axis) {
  if (input->dtype != DType::F32 || axis < 0 || axis >= rank_of(input))
    return misfit("a norm is taken of F32 along an axis", fmt::format("{} along axis {}", text_of(*input), axis));
  Shape shape = input->shape;
  shape[static_cast<size_t>(axis)] = 1;
  return make(Norm{axis}, DType::F32, std::move(shape), {std::move(input)});
}

Result<RecipePtr> repeat(const RecipePtr& input, int axis, int64_t times) {
  const bool on_axis = axis >= 0 && axis < rank_of(input);
  Shape shape = input->shape;
  const bool fits = on_axis && times >= 1 &&
                    !__builtin_mul_overflow(shape[static_cast<size_t>(axis)], times, &shape[static_cast<size_t>(axis)]);
  if (!fits || !checked_element_count(shape))
    return misfit("a repeat names an axis and a number",
                  fmt::format("{} {} times along axis {}", text_of(*input), times, axis));
  Shape apart = input->shape;
  apart.insert(apart.begin() + axis + 1, 1);
  PIPPIN_TRY(RecipePtr one, reshape(input, apart));
  apart[static_cast<size_t>(axis) + 1] = times;
  PIPPIN_TRY(RecipePtr many, broadcast(std::move(one), std::move(apart)));
  return reshape(std::move(many), std::move(shape));
}

Result<RecipePtr> matrix_product(RecipePtr x, RecipePtr y) {
  if (x->dtype != y->dtype || !is_float_of_matrices(x->dtype) || rank_of(x) != 2 || rank_of(y) != 2 ||
      x->shape[1] != y->shape[0] || !checked_element_count({x->shape[0], y->shape[1]}))
    return misfit("a product is taken of two F32, F16 or BF16 matrices that fit each other",
                  fmt::format("{} times {}", text_of(*x), text_of(*y)));
  const DType dtype = x->dtype;
  Shape shape{x->shape[0], y->shape[1]};
  return make(MatrixProduct{}, dtype, std::move(shape), {std::move(x), std::move(y)});
}

Result<RecipePtr> rotary_table(RotaryTable::Kind kind, double base, int64_t dims, int64_t positions) {
  constexpr int64_t most = int64_t{1} << 24;  // positions that a float32 counts
  if (dims < 2 || dims % 2 != 0 || dims > most || positions < 1 || positions > most || !(base > 0))
    return misfit("a rotary table has an even number of dimensions, positions and a base over 0",
                  fmt::format("{} dimensions, {} positions, base {}", dims, positions, base));
  return make(RotaryTable{kind, base}, DType::F32, {positions, dims / 2}, {});
}

Result<RecipePtr> function(Function::Kind kind, RecipePtr input) {
  if (input->dtype != DType::F32) return misfit("a function is taken of F32", text_of(*input));
  Shape shape = input->shape;
  return make(Function{kind}, DType::F32, std::move(shape), {std::move(input)});
}

Result<RecipePtr> broadcast(RecipePtr input, Shape shape) {
  if (shape == input->shape) return input;
  if (!broadcasts_to(input->shape, shape) || !checked_element_count(shape))
    return misfit("only dimensions of 1 are broadcast", fmt::format("{} to {}", text_of(*input), to_string(shape)));
  const DType dtype = input->dtype;
  return make(Broadcast{}, dtype, std::move(shape), {std::move(input)});
}

Result<RecipePtr> take(RecipePtr input, int axis, std::vector<int64_t> places) {
  const bool on_axis = axis >= 0 && axis < rank_of(input);
  const int64_t dimension = on_axis ? input->shape[static_cast<size_t>(axis)] : 0;
  const auto outside =
      std::find_if(places.begin(), places.end(), [dimension](int64_t k) { return k < 0 || k >= dimension; });
  if (!on_axis || outside != places.end())
    return misfit("what is taken lies inside the axis",
                  fmt::format("{} of axis {} of {}", on_axis ? *outside : 0, axis, text_of(*input)));
  Shape shape = input->shape;
  shape[static_cast<size_t>(axis)] = static_cast<int64_t>(places.size());
  if (!checked_element_count(shape)) return misfit("a tensor has less than 2^63 elements", to_string(shape));
  const DType dtype = input->dtype;
  return make(Take{axis, std::make_shared<const std::vector<int64_t>>(std::move(places))}, dtype, std::move(shape),
              {std::move(input)});
}

Result<RecipePtr> exponent(RecipePtr input) {
  if (input->dtype != DType::F32) return misfit("an exponent is taken of F32", text_of(*input));
  Shape shape = input->shape;
  return make(Exponent{}, DType::U8, std::move(shape), {std::move(input)});
}

Result<RecipePtr> unpack_codes(RecipePtr words, int bits, bool awq) {
  const bool known = bits == 2 || bits == 4 || bits == 8;
  if ((words->dtype != DType::U32 && words->dtype != DType::I32) || !known || (awq && bits != 4) ||
      words->shape.empty())
    return misfit("codes of 2, 4 or 8 bits are packed in 32-bit words",
                  fmt::format("{}, {} bits", text_of(*words), bits));
  Shape shape = words->shape;
  if (__builtin_mul_overflow(shape.back(), int64_t{32 / bits}, &shape.back()) || !checked_element_count(shape))
    return misfit("a shape fits 63 bits", text_of(*words));
  return make(UnpackCodes{bits, awq}, DType::U8, std::move(shape), {std::move(words)});
}

Result<RecipePtr> pack_codes(RecipePtr codes, int bits) {
  const bool known = bits == 2 || bits == 4 || bits == 8;
  if (codes->dtype != DType::U8 || !known || codes->shape.empty() || codes->shape.back() % (32 / bits) != 0)
    return misfit("codes of 2, 4 or 8 bits fill whole words", fmt::format("{}, {} bits", text_of(*codes), bits));
  Shape shape = codes->shape;
  shape.back() = shape.back() * bits / 32;
  return make(PackCodes{bits}, DType::U32, std::move(shape), {std::move(codes)});
}

uint64_t byte_size(const Recipe& recipe) {
  return static_cast<uint64_t>(element_count(recipe.shape)) * size_of(recipe.dtype);
}

}  // namespace pippin
