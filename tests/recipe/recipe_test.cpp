#include "recipe/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pippin {
namespace {

using testing::HasSubstr;

RecipePtr source(DType dtype, Shape shape, uint32_t tensor = 0) {
  return from_source(tensor, dtype, std::move(shape));
}

RecipePtr bf16(Shape shape) {
  return source(DType::BF16, std::move(shape));
}

std::string text(const Result<RecipePtr>& recipe, const std::vector<std::string>& names = {"a", "b", "c"}) {
  if (!recipe) return "error: " + recipe.error().message();
  return std::string(name_of((*recipe)->dtype)) + to_string((*recipe)->shape) + " " + describe(**recipe, names);
}

TEST(Recipe, ShapesAndTextOfEveryOperation) {
  const auto a = bf16({4, 6});
  const auto b = source(DType::BF16, {4, 6}, 1);
  EXPECT_EQ(text(a), "BF16[4, 6] a");
  EXPECT_EQ(text(constant(1.5, DType::F32, {})), "F32[] 1.5");
  EXPECT_EQ(text(slice(a, 1, 2, 5)), "BF16[4, 3] slice(2:5 on axis 1) of a");
  EXPECT_EQ(text(slice(a, 1, 1, 6, 2)), "BF16[4, 3] slice(1:6:2 on axis 1) of a");
  EXPECT_EQ(text(slice(a, 1, 3, 3)), "BF16[4, 0] slice(3:3 on axis 1) of a");
  EXPECT_EQ(text(concat({a, b}, 0)), "BF16[8, 6] concat(0) of [a, b]");
  EXPECT_EQ(text(stack({a, b}, 2)), "BF16[4, 6, 2] concat(2) of [reshape[4, 6, 1] of a, reshape[4, 6, 1] of b]");
  EXPECT_EQ(text(transpose(bf16({2, 3, 4}), {2, 0, 1})), "BF16[4, 2, 3] transpose(2,0,1) of a");
  EXPECT_EQ(text(reshape(a, {2, -1})), "BF16[2, 12] reshape[2, 12] of a");
  EXPECT_EQ(text(view(a, DType::U32)), "U32[4, 3] view(U32) of a");
  EXPECT_EQ(text(view(a, DType::U8)), "U8[4, 12] view(U8) of a");
  EXPECT_EQ(text(cast(a, DType::F16)), "F16[4, 6] cast(F16) of a");
  EXPECT_EQ(text(arithmetic(Arithmetic::Op::add, a, constant(1, DType::BF16, {}))), "BF16[4, 6] sum of [a, 1]");
  EXPECT_EQ(text(function(Function::Kind::sigmoid, source(DType::F32, {2}))), "F32[2] sigmoid of a");
  EXPECT_EQ(text(broadcast(bf16({4, 1}), {2, 4, 3})), "BF16[2, 4, 3] broadcast[2, 4, 3] of a");
  EXPECT_EQ(text(take(a, 1, {5, 0, 0})), "BF16[4, 3] take(3 places on axis 1) of a");
  EXPECT_EQ(text(repeat(a, 0, 5000)),
            "BF16[20000, 6] reshape[20000, 6] of broadcast[4, 5000, 6] of reshape[4, 1, 6] of a");
  EXPECT_EQ(text(dequantize_blocks(source(DType::F8_E4M3, {3, 5}), source(DType::F32, {2, 3}, 1), 2, 2, DType::BF16)),
            "BF16[3, 5] dequantize(2 x 2 blocks to BF16) of [a, b]");
  EXPECT_EQ(text(dequantize_blocks(source(DType::U8, {3, 5}), source(DType::F16, {2, 3}, 1), 2, 2, DType::BF16)),
            "BF16[3, 5] dequantize(2 x 2 blocks to BF16) of [a, cast(F32) of b]");
}

TEST(Recipe, ManyInputsAreCounted) {
  std::vector<RecipePtr> inputs;
  std::vector<std::string> names;
  for (uint32_t i = 0; i < 8; i++) {
    inputs.push_back(source(DType::U8, {1}, i));
    names.push_back("e" + std::to_string(i));
  }
  EXPECT_EQ(text(concat(inputs, 0), names), "U8[8] concat(0) of [e0, ... 6 more ..., e7]");
}

TEST(Recipe, QuantizedParts) {
  const auto dense = source(DType::F16, {8, 128});
  const QuantFormat affine{QuantMode::affine, 3, 64};
  const QuantFormat mxfp4{QuantMode::mxfp4, 4, 32};
  const auto part = [&](const QuantFormat& format, QuantizePart::Part which) {
    return text(quantize_part(format, dense, which));
  };
  EXPECT_EQ(part(affine, QuantizePart::Part::weight), "U32[8, 12] quantize(affine 3 bits, group 64, weight) of a");
  EXPECT_EQ(part(affine, QuantizePart::Part::scales), "F16[8, 2] quantize(affine 3 bits, group 64, scales) of a");
  EXPECT_EQ(part(affine, QuantizePart::Part::biases), "F16[8, 2] quantize(affine 3 bits, group 64, biases) of a");
  EXPECT_EQ(part(mxfp4, QuantizePart::Part::scales), "U8[8, 4] quantize(mxfp4 4 bits, group 32, scales) of a");
  EXPECT_THAT(part(mxfp4, QuantizePart::Part::biases), HasSubstr("only affine mode has biases"));

  const auto packed = source(DType::U32, {8, 12});
  const auto scales = source(DType::F16, {8, 2}, 1);
  const auto biases = source(DType::F16, {8, 2}, 2);
  EXPECT_EQ(text(dequantize(affine, packed, scales, biases, DType::F16)),
            "F16[8, 128] dequantize(affine 3 bits, group 64 to F16) of [a, b, c]");
  EXPECT_EQ(text(dequantize(mxfp4, source(DType::U32, {8, 16}), source(DType::U8, {8, 4}, 1), nullptr, DType::BF16)),
            "BF16[8, 128] dequantize(mxfp4 4 bits, group 32 to BF16) of [a, b]");
}

TEST(Recipe, TrivialOperationsGiveTheirInput) {
  const auto a = bf16({4, 6});
  EXPECT_EQ(*slice(a, 0, 0, 4), a);
  EXPECT_EQ(*concat({a}, 1), a);
  EXPECT_EQ(*transpose(a, {0, 1}), a);
  EXPECT_EQ(*reshape(a, {4, 6}), a);
  EXPECT_EQ(*reshape(*reshape(a, {24}), {4, 6}), a);
  EXPECT_EQ(*view(a, DType::BF16), a);
  EXPECT_EQ(cast(a, DType::BF16), a);
}

TEST(Recipe, WhatDoesNotFitIsAnErrorWithTheShapes) {
  const auto a = bf16({4, 6});
  const auto f32 = source(DType::F32, {4, 6});
  struct Row {
    Result<RecipePtr> recipe;
    const char* value;
  };
  const Row rows[] = {
      {slice(a, 2, 0, 1), "axis 2 of BF16[4, 6]"},
      {slice(a, -1, 0, 1), "axis -1 of BF16[4, 6]"},
      {slice(a, 1, 0, 7), "[0:7:1] along axis 1 of BF16[4, 6]"},
      {slice(a, 1, -1, 7), "[-1:7:1] along axis 1 of BF16[4, 6]"},
      {slice(a, 1, 0, 6, 0), "[0:6:0] along axis 1 of BF16[4, 6]"},
      {concat({}, 0), "none given"},
      {concat({a, bf16({4, 5})}, 0), "input 0 is BF16[4, 6], input 1 is BF16[4, 5], axis 0"},
      {concat({a, f32}, 0), "input 0 is BF16[4, 6], input 1 is F32[4, 6], axis 0"},
      {concat({a, bf16({24})}, 1), "input 0 is BF16[4, 6], input 1 is BF16[24], axis 1"},
      {concat({a, a}, 2), "axis 2 of BF16[4, 6]"},
      {stack({a, a}, 3), "axis 3 over BF16[4, 6]"},
      {transpose(a, {0, 0}), "(0,0) of BF16[4, 6]"},
      {transpose(a, {0}), "(0) of BF16[4, 6]"},
      {reshape(a, {5, 5}), "BF16[4, 6] to [5, 5]"},
      {reshape(a, {-1, -1}), "BF16[4, 6] to [-1, -1]"},
      {reshape(a, {-1, 5}), "BF16[4, 6] to [-1, 5]"},
      {reshape(bf16({0, 4}), {0, -1}), "BF16[0, 4] to [0, -1]"},
      {view(bf16({4, 3}), DType::U32), "BF16[4, 3] as U32"},
      {view(bf16({}), DType::U8), "BF16[] as U8"},
      {arithmetic(Arithmetic::Op::add, a, f32), "BF16[4, 6] and F32[4, 6]"},
      {arithmetic(Arithmetic::Op::add, a, bf16({4})), "BF16[4, 6] and BF16[4]"},
      {arithmetic(Arithmetic::Op::add, bf16({6}), a), "BF16[6] and BF16[4, 6]"},
      {arithmetic(Arithmetic::Op::maximum, a, f32), "BF16[4, 6] and F32[4, 6]"},
      {function(Function::Kind::sigmoid, a), "BF16[4, 6]"},
      {broadcast(a, {8, 6}), "BF16[4, 6] to [8, 6]"},
      {broadcast(a, {6}), "BF16[4, 6] to [6]"},
      {repeat(a, 2, 2), "BF16[4, 6] 2 times along axis 2"},
      {repeat(a, 0, 0), "BF16[4, 6] 0 times along axis 0"},
      {repeat(a, 0, int64_t{1} << 62), "BF16[4, 6] 4611686018427387904 times along axis 0"},
      {take(a, 1, {0, 6}), "6 of axis 1 of BF16[4, 6]"},
      {take(a, 2, {0}), "axis 2 of BF16[4, 6]"},
      {dequantize_blocks(a, f32, 2, 2, DType::BF16), "weight BF16[4, 6], scale F32[4, 6], blocks of 2 x 2, to BF16"},
      {dequantize_blocks(source(DType::F8_E4M3, {4, 6}), source(DType::F32, {2, 2}), 2, 2, DType::BF16),
       "weight F8_E4M3[4, 6], scale F32[2, 2]"},
      {quantize_part({QuantMode::affine, 4, 64}, a, QuantizePart::Part::weight), "BF16[4, 6] in groups of 64"},
      {quantize_part({QuantMode::affine, 4, 64}, bf16({64}), QuantizePart::Part::weight), "BF16[64] in groups of 64"},
      {dequantize({QuantMode::affine, 4, 64}, source(DType::U32, {4, 8}), bf16({4, 1}), nullptr, DType::BF16),
       "packed U32[4, 8], scales BF16[4, 1], biases none"},
      {dequantize({QuantMode::affine, 4, 64}, source(DType::U32, {4, 9}), bf16({4, 1}), bf16({4, 1}), DType::BF16),
       "packed U32[4, 9]"},
  };
  for (const Row& row : rows) {
    ASSERT_FALSE(row.recipe) << text(row.recipe);
    EXPECT_THAT(row.recipe.error().message(), HasSubstr(row.value));
  }
}

TEST(Recipe, SharesItsInputs) {
  const auto a = bf16({4, 6});
  const auto low = slice(a, 0, 0, 2);
  const auto high = slice(a, 0, 2, 4);
  EXPECT_EQ((*low)->inputs[0], (*high)->inputs[0]);
  EXPECT_EQ(byte_size(**low), 24u);
}

}  // namespace
}  // namespace pippin
