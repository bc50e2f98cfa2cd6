// Products of matrices and rotary tables, in boxes and with small buffers.
#include <gtest/gtest.h>

#include <random>

#include "execute/evaluator.h"
#include "naive_value.h"
#include "tiny_checkpoint.h"

namespace pippin {
namespace {

Bytes evaluated(const TinyCheckpoint& tiny, const RecipePtr& recipe, const Box& box, size_t buffer_limit) {
  Evaluator evaluator({&tiny.checkpoint(), Rounding::metal, false});
  evaluator.start(buffer_limit);
  Bytes bytes(static_cast<size_t>(box.count()) * size_of(recipe->dtype));
  const auto status = evaluator.evaluate(*recipe, box, bytes.data());
  EXPECT_TRUE(status) << status.error().message();
  return bytes;
}

std::vector<double> values(const TinyCheckpoint& tiny, const RecipePtr& recipe, const Box& box) {
  const Bytes bytes = evaluated(tiny, recipe, box, 1 << 20);
  std::vector<double> result(static_cast<size_t>(box.count()));
  cast(recipe->dtype, bytes.data(), DType::F64, result.data(), box.count());
  return result;
}

using Values = std::vector<double>;

TEST(MatrixProduct, SumsRowsTimesColumns) {
  const TinyCheckpoint tiny({{"x", DType::BF16, {2, 3}, numbers(DType::BF16, {1, 2, 3, 4, 5, 6})},
                             {"y", DType::BF16, {3, 2}, numbers(DType::BF16, {1, 0, 0, 1, 10, 100})}});
  const auto product = matrix_product(tiny.tensor(0), tiny.tensor(1));
  EXPECT_EQ(values(tiny, *product, whole_box({2, 2})), (Values{31, 302, 64, 604}));
}

// 2^24 + 1 - 2^24: added in order the 1 is lost, and so are bits below BF16's eighth at the end.
TEST(MatrixProduct, AddsInFloat32InOrderAndRoundsOnce) {
  const TinyCheckpoint tiny({{"x", DType::BF16, {1, 3}, numbers(DType::BF16, {16777216, 1, -16777216})},
                             {"y", DType::BF16, {3, 1}, numbers(DType::BF16, {1, 1, 1})},
                             {"z", DType::BF16, {1, 3}, numbers(DType::BF16, {256, 1, 1})}});
  EXPECT_EQ(values(tiny, *matrix_product(tiny.tensor(0), tiny.tensor(1)), whole_box({1, 1})), (Values{0}));
  EXPECT_EQ(values(tiny, *matrix_product(tiny.tensor(2), tiny.tensor(1)), whole_box({1, 1})), (Values{258}));
}

TEST(MatrixProduct, AnyBoxWithAnyBufferGivesTheSameBits) {
  std::mt19937 random(7);
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    const auto matrix = [&](int64_t count) {
      std::vector<double> numbers_of;
      for (int64_t i = 0; i < count; i++) numbers_of.push_back(std::normal_distribution<double>()(random));
      return numbers(dtype, numbers_of);
    };
    const std::vector<TinyTensor> tensors{{"x", dtype, {9, 33}, matrix(9 * 33)},
                                          {"y", dtype, {33, 150}, matrix(33 * 150)}};
    const TinyCheckpoint tiny(tensors);
    const RecipePtr product = *matrix_product(tiny.tensor(0), tiny.tensor(1));
    const Bytes whole = naive_value(*product, tensors, Rounding::metal);
    for (const auto& [lo, hi] :
         {std::pair<Shape, Shape>({0, 0}, {9, 150}), {{2, 17}, {7, 150}}, {{8, 149}, {9, 150}}}) {
      Box box = whole_box({9, 150});
      for (size_t k = 0; k < 2; k++) {
        box.lo[k] = lo[k];
        box.hi[k] = hi[k];
      }
      for (const size_t limit : {size_t{1}, size_t{500}, size_t{5000}, size_t{1} << 20}) {
        EXPECT_EQ(evaluated(tiny, product, box, limit), naive_box(whole, {9, 150}, size_of(dtype), box))
            << name_of(dtype) << ", buffers of " << limit;
      }
    }
  }
}

TEST(MatrixProduct, WhatDoesNotFitIsAnError) {
  const auto of = [](DType dtype, Shape shape) { return from_source(0, dtype, std::move(shape)); };
  EXPECT_FALSE(matrix_product(of(DType::F32, {2, 3}), of(DType::F32, {2, 3})));
  EXPECT_FALSE(matrix_product(of(DType::F32, {2, 3}), of(DType::BF16, {3, 2})));
  EXPECT_FALSE(matrix_product(of(DType::I32, {2, 3}), of(DType::I32, {3, 2})));
  EXPECT_FALSE(matrix_product(of(DType::F32, {2, 3}), of(DType::F32, {3})));
  EXPECT_FALSE(matrix_product(of(DType::F32, {int64_t{1} << 40, 1}), of(DType::F32, {1, int64_t{1} << 40})));
}

// The bits of mx.cos and mx.sin of t / 10000^(2 k / 6) on MLX's CPU backend (0.32.4).
TEST(RotaryTable, HasTheBitsOfMlx) {
  struct Row {
    int64_t position;
    std::vector<uint32_t> cosines, sines;
  };
  const std::vector<Row> rows{
      {0, {0x3f800000, 0x3f800000, 0x3f800000}, {0, 0, 0}},
      {1, {0x3f0a5140, 0x3f7fb96b, 0x3f7fffd9}, {0x3f576aa4, 0x3d3e0d1c, 0x3b0d3162}},
      {2, {0xbed51132, 0x3f7ee5d1, 0x3f7fff64}, {0x3f68c7b7, 0x3dbdd8b5, 0x3b8d314c}},
      {3, {0xbf7d7026, 0x3f7d85a8, 0x3f7ffea2}, {0x3e1081c3, 0x3e0e2116, 0x3bd3c9bd}},
      {69999, {0xbec5d47f, 0x3f4a7418, 0x3f7ffb71}, {0xbf6c1e44, 0x3f1cae0c, 0x3c414074}},
  };
  const TinyCheckpoint tiny({});
  const RecipePtr cosine = *rotary_table(RotaryTable::Kind::cosine, 10000, 6, 70000);
  const RecipePtr sine = *rotary_table(RotaryTable::Kind::sine, 10000, 6, 70000);
  EXPECT_EQ(cosine->shape, (Shape{70000, 3}));
  for (const Row& row : rows) {
    Box box = whole_box(cosine->shape);
    box.lo[0] = row.position;
    box.hi[0] = row.position + 1;
    EXPECT_EQ(evaluated(tiny, cosine, box, 1), bytes_of(row.cosines)) << "position " << row.position;
    EXPECT_EQ(evaluated(tiny, sine, box, 1), bytes_of(row.sines)) << "position " << row.position;
  }
}

TEST(RotaryTable, AbsurdSizesAreErrors) {
  const auto kind = RotaryTable::Kind::cosine;
  EXPECT_FALSE(rotary_table(kind, 10000, 3, 8));
  EXPECT_FALSE(rotary_table(kind, 10000, 0, 8));
  EXPECT_FALSE(rotary_table(kind, 10000, 4, 0));
  EXPECT_FALSE(rotary_table(kind, 10000, 4, int64_t{1} << 40));
  EXPECT_FALSE(rotary_table(kind, -1, 4, 8));
}

}  // namespace
}  // namespace pippin
