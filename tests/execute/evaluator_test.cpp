#include "execute/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quantize/quantize.h"
#include "tiny_checkpoint.h"

namespace pippin {
namespace {

using testing::HasSubstr;

// The box of the recipe as numbers.
std::vector<double> values(const TinyCheckpoint& tiny, const RecipePtr& recipe, const Box& box, size_t buffer_limit) {
  Evaluator evaluator({&tiny.checkpoint(), Rounding::metal, false});
  evaluator.start(buffer_limit);
  Bytes bytes(static_cast<size_t>(box.count()) * size_of(recipe->dtype));
  const auto status = evaluator.evaluate(*recipe, box, bytes.data());
  EXPECT_TRUE(status) << status.error().message();
  std::vector<double> result(static_cast<size_t>(box.count()));
  cast(recipe->dtype, bytes.data(), DType::F64, result.data(), box.count());
  return result;
}

std::vector<double> values(const TinyCheckpoint& tiny, const Result<RecipePtr>& recipe) {
  const Box box = whole_box((*recipe)->shape);
  auto result = values(tiny, *recipe, box, 1 << 20);
  EXPECT_EQ(values(tiny, *recipe, box, 1), result) << "with buffers of a byte";
  return result;
}

using Values = std::vector<double>;

TEST(Evaluator, MovesElements) {
  const TinyCheckpoint tiny({{"a", DType::BF16, {2, 3}, counting(DType::BF16, 6)},
                             {"b", DType::BF16, {2, 1}, numbers(DType::BF16, {10, 20})},
                             {"c", DType::BF16, {2, 3, 2}, counting(DType::BF16, 12)}});
  const auto a = tiny.tensor(0);
  const auto b = tiny.tensor(1);
  const auto c = tiny.tensor(2);
  EXPECT_EQ(values(tiny, a), (Values{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values(tiny, slice(a, 1, 1, 3)), (Values{1, 2, 4, 5}));
  EXPECT_EQ(values(tiny, slice(a, 1, 0, 3, 2)), (Values{0, 2, 3, 5}));
  EXPECT_EQ(values(tiny, slice(c, 1, 0, 3, 2)), (Values{0, 1, 4, 5, 6, 7, 10, 11}));
  EXPECT_EQ(values(tiny, slice(c, 0, 1, 2)), (Values{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(values(tiny, concat({a, b}, 1)), (Values{0, 1, 2, 10, 3, 4, 5, 20}));
  EXPECT_EQ(values(tiny, concat({a, a}, 0)), (Values{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values(tiny, stack({b, b}, 1)), (Values{10, 10, 20, 20}));
  EXPECT_EQ(values(tiny, transpose(a, {1, 0})), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values(tiny, transpose(c, {0, 2, 1})), (Values{0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11}));
  EXPECT_EQ(values(tiny, reshape(a, {3, 2})), (Values{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values(tiny, slice(*reshape(*transpose(a, {1, 0}), {2, 3}), 0, 1, 2)), (Values{4, 2, 5}));
}

TEST(Evaluator, ViewsBytes) {
  const TinyCheckpoint tiny({{"a", DType::U8, {2, 4}, bytes_of<uint8_t>({1, 0, 0, 0, 0, 1, 2, 0})},
                             {"b", DType::U32, {2}, bytes_of<uint32_t>({0x01020304, 0x05060708})}});
  EXPECT_EQ(values(tiny, view(tiny.tensor(0), DType::U32)), (Values{1, 0x20100}));
  EXPECT_EQ(values(tiny, view(tiny.tensor(1), DType::U8)), (Values{4, 3, 2, 1, 8, 7, 6, 5}));
  EXPECT_EQ(values(tiny, slice(*view(tiny.tensor(1), DType::U8), 0, 3, 6)), (Values{1, 8, 7}));
}

TEST(Evaluator, CastsAndCalculates) {
  const TinyCheckpoint tiny({{"a", DType::BF16, {2, 2}, numbers(DType::BF16, {1, 2, 3, 4})},
                             {"b", DType::BF16, {2}, numbers(DType::BF16, {10, 100})},
                             {"c", DType::F32, {2}, numbers(DType::F32, {0.1, 1.00390625})},
                             {"d", DType::F32, {}, numbers(DType::F32, {5})}});
  const auto a = tiny.tensor(0);
  const auto b = tiny.tensor(1);
  const auto with = [&](Arithmetic::Op op) { return values(tiny, arithmetic(op, a, b)); };
  EXPECT_EQ(with(Arithmetic::Op::add), (Values{11, 102, 13, 104}));
  EXPECT_EQ(with(Arithmetic::Op::subtract), (Values{-9, -98, -7, -96}));
  EXPECT_EQ(with(Arithmetic::Op::multiply), (Values{10, 200, 30, 400}));
  EXPECT_EQ(values(tiny, arithmetic(Arithmetic::Op::divide, a, constant(4, DType::BF16, {}))),
            (Values{0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(values(tiny, arithmetic(Arithmetic::Op::add, a, *reshape(b, {2, 1}))), (Values{11, 12, 103, 104}));
  EXPECT_EQ(values(tiny, tiny.tensor(3)), (Values{5}));
  EXPECT_EQ(values(tiny, constant(0.1, DType::BF16, {3})), (Values{0.10009765625, 0.10009765625, 0.10009765625}));
  // To nearest, ties to even: 1 + 2^-8 lies between two BF16 values.
  EXPECT_EQ(values(tiny, cast(tiny.tensor(2), DType::BF16)), (Values{0.10009765625, 1}));
  // 256 + 1 in float32 is 257, which BF16 does not have.
  const auto big = arithmetic(Arithmetic::Op::add, constant(256, DType::BF16, {1}), constant(1, DType::BF16, {}));
  EXPECT_EQ(values(tiny, big), (Values{256}));
}

TEST(Evaluator, DequantizesFp8Blocks) {
  // e4m3: 0x38 is 1, 0x40 is 2, 0x39 is 1.125, 0xb8 is -1. Blocks of 2 x 2 on 3 x 3 weights: the last ones are cut.
  const TinyCheckpoint tiny(
      {{"scale", DType::F32, {2, 2}, numbers(DType::F32, {1, 10, 100, 1000})},
       {"scale_bf16", DType::BF16, {2, 2}, numbers(DType::BF16, {1.0078125, 1, 1, 1})},
       {"weight", DType::F8_E4M3, {3, 3}, bytes_of<uint8_t>({0x38, 0x40, 0x38, 0xb8, 0x39, 0x40, 0x38, 0x38, 0x40})}});
  EXPECT_EQ(values(tiny, dequantize_blocks(tiny.tensor(2), tiny.tensor(0), 2, 2, DType::BF16)),
            (Values{1, 2, 10, -1, 1.125, 20, 100, 100, 2000}));
  // With a BF16 scale the product is rounded to BF16: 1.125 x 1.0078125 = 1.1337890625, between 1.1328125 and 1.140625.
  EXPECT_EQ(values(tiny, slice(*dequantize_blocks(tiny.tensor(2), tiny.tensor(1), 2, 2, DType::F32), 0, 1, 2)),
            (Values{-1.0078125, 1.1328125, 2}));
}

TEST(Evaluator, QuantizesAndDequantizesPartsOfRows) {
  std::vector<double> ramp;
  for (int i = 0; i < 128; i++) ramp.push_back(i % 64 % 16);
  const TinyCheckpoint tiny({{"a", DType::F32, {2, 64}, numbers(DType::F32, ramp)}});
  const QuantFormat format{QuantMode::affine, 4, 32};
  const auto part = [&](QuantizePart::Part which) { return *quantize_part(format, tiny.tensor(0), which); };
  const auto weight = part(QuantizePart::Part::weight);
  const auto scales = part(QuantizePart::Part::scales);
  const auto biases = part(QuantizePart::Part::biases);
  const auto again = dequantize(format, weight, scales, biases, DType::F32);
  EXPECT_EQ(values(tiny, again), ramp) << "whole numbers from 0 to 15 survive 4 bits";
  Box box = whole_box({2, 64});
  box.lo = {1, 30};
  box.hi = {2, 35};
  EXPECT_EQ(values(tiny, *again, box, 1 << 20), (Values{14, 15, 0, 1, 2}));
  box.lo = {1, 3};
  box.hi = {2, 4};
  EXPECT_EQ(values(tiny, weight, box, 1 << 20), (Values{values(tiny, weight)[11]}));
}

TEST(Evaluator, NormsExponentsAndCodes) {
  const TinyCheckpoint tiny({{"a", DType::F32, {2, 2}, numbers(DType::F32, {3, 0, 4, 2})},
                             {"b", DType::U32, {1}, bytes_of<uint32_t>({0x87654321})},
                             {"c", DType::U8, {8}, bytes_of<uint8_t>({1, 2, 3, 4, 5, 6, 7, 8})}});
  EXPECT_EQ(values(tiny, norm(tiny.tensor(0), 0)), (Values{5, 2}));
  EXPECT_EQ(values(tiny, norm(tiny.tensor(0), 1)), (Values{3, std::sqrt(20.0F)}));
  EXPECT_EQ(values(tiny, exponent(tiny.tensor(0))), (Values{128, 0, 129, 128}));
  EXPECT_EQ(values(tiny, unpack_codes(tiny.tensor(1), 4, false)), (Values{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(values(tiny, unpack_codes(tiny.tensor(1), 4, true)), (Values{1, 5, 2, 6, 3, 7, 4, 8}));
  EXPECT_EQ(values(tiny, slice(*unpack_codes(tiny.tensor(1), 8, false), 0, 1, 3)), (Values{0x43, 0x65}));
  EXPECT_EQ(values(tiny, pack_codes(tiny.tensor(2), 4)), (Values{0x87654321}));
  EXPECT_EQ(values(tiny, repeat(tiny.tensor(0), 0, 2)), (Values{3, 0, 3, 0, 4, 2, 4, 2}));
}

TEST(Evaluator, BroadcastsAndTakes) {
  const TinyCheckpoint tiny({{"a", DType::F32, {2, 1}, numbers(DType::F32, {3, 4})},
                             {"b", DType::U8, {2, 3}, bytes_of<uint8_t>({1, 2, 3, 4, 5, 6})}});
  EXPECT_EQ(values(tiny, broadcast(tiny.tensor(0), {2, 3})), (Values{3, 3, 3, 4, 4, 4}));
  EXPECT_EQ(values(tiny, broadcast(tiny.tensor(0), {2, 2, 1})), (Values{3, 4, 3, 4}));
  EXPECT_EQ(values(tiny, repeat(tiny.tensor(1), 1, 2)), (Values{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}));
  EXPECT_EQ(values(tiny, take(tiny.tensor(1), 1, {2, 0, 0})), (Values{3, 1, 1, 6, 4, 4}));
  EXPECT_EQ(values(tiny, take(tiny.tensor(1), 0, {1, 1})), (Values{4, 5, 6, 4, 5, 6}));
  EXPECT_EQ(values(tiny, arithmetic(Arithmetic::Op::maximum, tiny.tensor(0), constant(3.5, DType::F32, {}))),
            (Values{3.5, 4}));
}

// The bits of mx.sigmoid on MLX's CPU backend (0.32.4).
TEST(Evaluator, SigmoidHasTheBitsOfMlx) {
  const std::vector<std::pair<float, uint32_t>> rows{
      {0x0.0p+0F, 0x3f000000},
      {0x1.99999a0000000p-4F, 0x3f06650a},
      {-0x1.99999a0000000p-4F, 0x3ef335ed},
      {0x1.5555560000000p-2F, 0x3f152352},
      {-0x1.5555560000000p-2F, 0x3ed5b95d},
      {0x1.0000000000000p+0F, 0x3f3b26a8},
      {-0x1.0000000000000p+0F, 0x3e89b2b1},
      {0x1.4000000000000p+1F, 0x3f6c948f},
      {-0x1.d333340000000p+2F, 0x3a30f804},
      {0x1.4000000000000p+4F, 0x3f800000},
      {-0x1.4000000000000p+5F, 0x229cbc91},
      {0x1.5f999a0000000p+6F, 0x3f800000},
      {-0x1.6000000000000p+6F, 0x0041edcc},
      {-0x1.6400000000000p+6F, 0x00000000},
      {0x1.4484c00000000p-100F, 0x3f000000},
  };
  std::vector<float> inputs;
  std::vector<uint32_t> expected;
  for (const auto& [x, bits] : rows) {
    inputs.push_back(x);
    expected.push_back(bits);
  }
  const Shape shape{static_cast<int64_t>(inputs.size())};
  const TinyCheckpoint tiny({{"a", DType::F32, shape, bytes_of(inputs)}});
  const auto bits = values(tiny, view(*function(Function::Kind::sigmoid, tiny.tensor(0)), DType::U32));
  EXPECT_EQ(bits, Values(expected.begin(), expected.end()));
  EXPECT_EQ(values(tiny, function(Function::Kind::square_root, constant(6.25, DType::F32, {1}))), (Values{2.5}));
}

Error error_of(const TinyCheckpoint& tiny, const RecipePtr& recipe) {
  Evaluator evaluator({&tiny.checkpoint(), Rounding::metal, false});
  Bytes bytes(byte_size(*recipe));
  const auto status = evaluator.evaluate(*recipe, whole_box(recipe->shape), bytes.data());
  return status ? Error{} : status.error();
}

TEST(Evaluator, NonfiniteValuesAreErrorsWithTheirPlace) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const TinyCheckpoint tiny({{"a", DType::BF16, {2, 3}, numbers(DType::BF16, {1, 2, 3, 4, nan, inf})},
                             {"b", DType::F32, {3}, numbers(DType::F32, {1, -1e5, 3})},
                             {"c", DType::F8_E4M3, {2}, bytes_of<uint8_t>({0x7e, 0xff})},
                             {"d", DType::F8_E8M0, {1}, bytes_of<uint8_t>({0xff})},
                             {"e", DType::F32, {2}, numbers(DType::F32, {1, 0})},
                             {"f", DType::F32, {2}, numbers(DType::F32, {3e38, 1})}});
  struct Row {
    RecipePtr recipe;
    const char* value;
  };
  const Row rows[] = {
      {tiny.tensor(0), R"("a"[1, 1] is nan)"},
      {*transpose(tiny.tensor(0), {1, 0}), R"("a"[1, 1] is nan)"},
      {*slice(tiny.tensor(0), 1, 2, 3), R"("a"[1, 2] is inf)"},
      {tiny.tensor(2), R"("c"[1] is nan)"},
      {tiny.tensor(3), R"("d"[0] is nan)"},
      {*norm(tiny.tensor(5), 0), R"("norm(0) of f"[0] becomes infinite or NaN as F32)"},
      {cast(tiny.tensor(1), DType::F16), R"("b"[1] (-100000) becomes infinite or NaN as F16)"},
      {*arithmetic(Arithmetic::Op::divide, tiny.tensor(1), *slice(tiny.tensor(4), 0, 1, 2)),
       R"("quotient of [b, slice(1:2 on axis 0) of e]"[0] becomes infinite or NaN as F32)"},
  };
  for (const Row& row : rows) {
    const Error error = error_of(tiny, row.recipe);
    EXPECT_EQ(error.tag, ErrorTag::nonfinite);
    EXPECT_EQ(error.value, row.value);
    EXPECT_THAT(error.way_out, HasSubstr("--allow-nonfinite"));
  }
  EXPECT_EQ(error_of(tiny, *slice(tiny.tensor(0), 0, 0, 1)).value, "") << "only what is used counts";
  EXPECT_EQ(error_of(tiny, cast(tiny.tensor(1), DType::BF16)).value, "");
}

TEST(Evaluator, AllowedNonfiniteValuesAreCountedOnce) {
  const double inf = std::numeric_limits<double>::infinity();
  const TinyCheckpoint tiny({{"a", DType::F32, {4}, numbers(DType::F32, {1, inf, 1e5, 2})}});
  Evaluator evaluator({&tiny.checkpoint(), Rounding::metal, true});
  Bytes bytes(8);
  ASSERT_TRUE(evaluator.evaluate(*cast(tiny.tensor(0), DType::F16), whole_box({4}), bytes.data()));
  EXPECT_EQ(evaluator.nonfinite_values(), 2u) << "one in the source, one by the cast";
}

}  // namespace
}  // namespace pippin
