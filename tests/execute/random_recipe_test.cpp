// Random recipes, computed in random boxes with tiny buffers, against the plain computation of whole tensors.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "execute/evaluator.h"
#include "naive_value.h"
#include "tiny_checkpoint.h"

namespace pippin {
namespace {

class RecipeMaker {
 public:
  explicit RecipeMaker(uint32_t seed) : random_(seed) {}

  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  Shape random_shape() {
    Shape shape;
    for (int64_t rank = pick(0, 4); rank > 0; rank--) shape.push_back(pick(1, 7));
    return shape;
  }

  RecipePtr random_tensor() {
    constexpr DType dtypes[] = {DType::U8, DType::BF16, DType::F16, DType::F32, DType::F64, DType::I32, DType::F8_E4M3};
    return add_tensor(dtypes[pick(0, 6)], random_shape());
  }

  // Values are small multiples of 1/8, so that few operations leave the range of any dtype; fp8 bytes are arbitrary.
  RecipePtr add_tensor(DType dtype, const Shape& shape) {
    const int64_t count = element_count(shape);
    Bytes bytes;
    if (dtype == DType::F8_E4M3 || dtype == DType::U8 || dtype == DType::U32) {
      bytes.resize(static_cast<size_t>(count) * size_of(dtype));
      for (auto& byte : bytes) byte = static_cast<std::byte>(pick(0, 255));
    } else {
      std::vector<double> values;
      for (int64_t i = 0; i < count; i++)
        values.push_back(static_cast<double>(pick(-64, 64)) / (is_floating(dtype) ? 8 : 1));
      bytes = numbers(dtype, values);
    }
    char name[8];
    std::snprintf(name, sizeof name, "t%03zu", tensors.size());
    tensors.push_back({name, dtype, shape, bytes});
    return from_source(static_cast<uint32_t>(tensors.size() - 1), dtype, shape);
  }

  // One operation on top of the recipe, or the recipe where the dice gave one that does not fit.
  RecipePtr grown(const RecipePtr& recipe) {
    const int rank = static_cast<int>(recipe->shape.size());
    Result<RecipePtr> next = recipe;
    switch (pick(0, 13)) {
      case 0:
        next = rank ? random_slice(recipe) : recipe;
        break;
      case 1:
        next = rank ? random_concat(recipe) : recipe;
        break;
      case 2:
        next = random_transpose(recipe);
        break;
      case 3:
        next = random_reshape(recipe);
        break;
      case 4:
        next = view(recipe, pick(0, 1) ? DType::U8 : DType::U16);
        break;
      case 5:
        next = cast(recipe, pick(0, 1) ? DType::F32 : DType::BF16);
        break;
      case 6:
        next = random_arithmetic(recipe);
        break;
      case 7:
        next = random_fp8(recipe);
        break;
      case 8:
        next = random_quantized(recipe);
        break;
      case 9:
        next = random_codes(recipe);
        break;
      case 10:
        next = random_norm(recipe);
        break;
      case 11:
        next = random_broadcast(recipe);
        break;
      case 12:
        next = rank ? random_take(recipe) : recipe;
        break;
      default:
        next = random_dequantized();
        break;
    }
    return next && element_count((*next)->shape) > 0 && element_count((*next)->shape) < 20000 ? *next : recipe;
  }

  std::vector<TinyTensor> tensors;

 private:
  Result<RecipePtr> random_slice(const RecipePtr& recipe) {
    const int axis = static_cast<int>(pick(0, static_cast<int64_t>(recipe->shape.size()) - 1));
    const int64_t length = recipe->shape[static_cast<size_t>(axis)];
    const int64_t begin = pick(0, length - 1);
    return slice(recipe, axis, begin, pick(begin + 1, length), pick(1, 3));
  }
  Result<RecipePtr> random_concat(const RecipePtr& recipe) {
    const int axis = static_cast<int>(pick(0, static_cast<int64_t>(recipe->shape.size()) - 1));
    std::vector<RecipePtr> inputs{recipe, recipe};
    Shape shape = recipe->shape;
    shape[static_cast<size_t>(axis)] = pick(1, 4);
    inputs.insert(inputs.begin() + pick(0, 2), add_tensor(recipe->dtype, shape));
    return concat(inputs, axis);
  }
  Result<RecipePtr> random_transpose(const RecipePtr& recipe) {
    std::vector<int> permutation(recipe->shape.size());
    std::iota(permutation.begin(), permutation.end(), 0);
    std::shuffle(permutation.begin(), permutation.end(), random_);
    return transpose(recipe, permutation);
  }
  Result<RecipePtr> random_reshape(const RecipePtr& recipe) {
    Shape shape;
    int64_t rest = element_count(recipe->shape);
    while (rest > 1 && shape.size() < 5) {
      int64_t factor = pick(1, std::min<int64_t>(rest, 12));
      while (rest % factor != 0) factor--;
      shape.push_back(factor);
      rest /= factor;
    }
    shape.insert(shape.begin() + pick(0, static_cast<int64_t>(shape.size())), rest);
    return reshape(recipe, shape);
  }
  Result<RecipePtr> random_arithmetic(const RecipePtr& recipe) {
    Shape shape(recipe->shape.begin() + pick(0, static_cast<int64_t>(recipe->shape.size())), recipe->shape.end());
    for (auto& dimension : shape) dimension = pick(0, 1) ? dimension : 1;
    const auto y = pick(0, 3) ? add_tensor(recipe->dtype, shape) : constant(1.5, recipe->dtype, shape);
    return arithmetic(static_cast<Arithmetic::Op>(pick(0, 4)), recipe, y);
  }
  Result<RecipePtr> random_fp8(const RecipePtr& recipe) {
    if (recipe->shape.size() < 2) return recipe;
    const int64_t rows = pick(1, 4);
    const int64_t columns = pick(1, 4);
    Shape shape = recipe->shape;
    auto& last = shape.back();
    auto& before = shape[shape.size() - 2];
    last = (last + columns - 1) / columns;
    before = (before + rows - 1) / rows;
    const auto scale = add_tensor(pick(0, 1) ? DType::F32 : DType::BF16, shape);
    return dequantize_blocks(recipe, scale, rows, columns, pick(0, 1) ? DType::BF16 : DType::F32);
  }
  Result<RecipePtr> random_codes(const RecipePtr& recipe) {
    const int bits = 1 << pick(1, 3);
    if (recipe->dtype == DType::U8) return pack_codes(recipe, bits);
    return unpack_codes(recipe, bits, bits == 4 && pick(0, 1));
  }
  Result<RecipePtr> random_norm(const RecipePtr& recipe) {
    const auto wide = cast(recipe, DType::F32);
    if (recipe->shape.empty() || pick(0, 1)) return exponent(wide);
    const auto length = norm(wide, static_cast<int>(pick(0, static_cast<int64_t>(recipe->shape.size()) - 1)));
    return pick(0, 1) ? length : arithmetic(Arithmetic::Op::divide, wide, *length);
  }
  Result<RecipePtr> random_broadcast(const RecipePtr& recipe) {
    if (pick(0, 3) == 0) return function(static_cast<Function::Kind>(pick(0, 1)), cast(recipe, DType::F32));
    Shape shape = recipe->shape;
    for (auto& dimension : shape) dimension = dimension == 1 ? pick(1, 3) : dimension;
    if (pick(0, 1)) shape.insert(shape.begin(), pick(1, 3));
    if (shape != recipe->shape || shape.empty()) return broadcast(recipe, shape);
    return repeat(recipe, static_cast<int>(pick(0, static_cast<int64_t>(shape.size()) - 1)), pick(1, 3));
  }
  Result<RecipePtr> random_take(const RecipePtr& recipe) {
    const int axis = static_cast<int>(pick(0, static_cast<int64_t>(recipe->shape.size()) - 1));
    std::vector<int64_t> places(static_cast<size_t>(pick(1, 6)));
    for (auto& place : places) place = pick(0, recipe->shape[static_cast<size_t>(axis)] - 1);
    return take(recipe, axis, places);
  }
  QuantFormat random_format() {
    switch (pick(0, 3)) {
      case 0:
        return {QuantMode::mxfp4, 4, 32};
      case 1:
        return {QuantMode::nvfp4, 4, 16};
      case 2:
        return {QuantMode::affine, 3, 32};
      default:
        return {QuantMode::affine, 4, 32};
    }
  }
  Result<RecipePtr> random_quantized(const RecipePtr& recipe) {
    const int64_t count = element_count(recipe->shape);
    const QuantFormat format = random_format();
    if (count % format.group_size != 0) return recipe;
    auto matrix = reshape(recipe, {-1, format.group_size * (count % (2 * format.group_size) == 0 ? 2 : 1)});
    if (!matrix) return matrix;
    return quantize_part(format, *matrix, static_cast<QuantizePart::Part>(pick(0, 2)));
  }
  Result<RecipePtr> random_dequantized() {
    const QuantFormat format = random_format();
    const bool affine = format.mode == QuantMode::affine;
    const Shape scales{pick(1, 3), pick(1, 3)};
    const Shape words{scales[0], scales[1] * format.group_size * format.bits / 32};
    const DType dtype = affine ? DType::BF16 : DType::U8;
    const auto packed = add_tensor(DType::U32, words);
    const auto scale = add_tensor(dtype, scales);
    return dequantize(format, packed, scale, affine ? add_tensor(dtype, scales) : nullptr, DType::BF16);
  }

  std::mt19937 random_;
};

Box random_box(RecipeMaker& maker, const Shape& shape) {
  Box box = whole_box(shape);
  for (int k = 0; k < box.rank; k++) {
    if (maker.pick(0, 2) == 0) continue;
    box.lo[k] = maker.pick(0, shape[static_cast<size_t>(k)] - 1);
    box.hi[k] = maker.pick(box.lo[k] + 1, shape[static_cast<size_t>(k)]);
  }
  return box;
}

class RandomRecipe : public testing::TestWithParam<int> {};

TEST_P(RandomRecipe, AnyBoxHasTheBytesOfTheWhole) {
  for (int round = 0; round < 60; round++) {
    RecipeMaker maker(static_cast<uint32_t>(GetParam() * 1000 + round));
    RecipePtr recipe = maker.random_tensor();
    for (int64_t steps = maker.pick(1, 7); steps > 0; steps--) recipe = maker.grown(recipe);

    const TinyCheckpoint tiny(maker.tensors);
    std::vector<std::string> names;
    for (const auto& tensor : maker.tensors) names.push_back(tensor.name);
    const Bytes whole = naive_value(*recipe, maker.tensors);
    Evaluator evaluator({&tiny.checkpoint(), Rounding::metal, true});
    for (int boxes = 0; boxes < 12; boxes++) {
      const Box box = boxes == 0 ? whole_box(recipe->shape) : random_box(maker, recipe->shape);
      evaluator.start(static_cast<size_t>(boxes < 2 ? 1 << 20 : maker.pick(1, 200)));
      Bytes part(static_cast<size_t>(box.count()) * size_of(recipe->dtype));
      const auto status = evaluator.evaluate(*recipe, box, part.data());
      ASSERT_TRUE(status) << status.error().message();
      ASSERT_EQ(part, naive_box(whole, recipe->shape, size_of(recipe->dtype), box))
          << "seed " << GetParam() * 1000 + round << ": " << describe(*recipe, names);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomRecipe, testing::Range(0, 20));

}  // namespace
}  // namespace pippin
