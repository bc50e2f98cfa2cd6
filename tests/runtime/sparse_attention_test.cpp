#include "runtime/sparse_attention.h"

#include <vector>

#include <gtest/gtest.h>
#include <mlx/device.h>
#include <mlx/ops.h>
#include <mlx/random.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

// Three queries of two sequences at the end of five kept keys, beside 40 rows.
SparseAttention example(const mx::array& chosen) {
  mx::set_default_device(mx::Device::cpu);
  const auto noise = [](const mx::Shape& shape, int seed) { return mx::random::normal(shape, mx::random::key(seed)); };
  return {noise({2, 4, 3, 8}, 1), noise({2, 1, 5, 8}, 2), noise({2, 1, 40, 8}, 3), chosen, 0.5F, 4, noise({4}, 4)};
}

// For each query the numbers of three rows, then -1 up to `count`.
mx::array choice(int count) {
  const std::vector<int> rows{0, 39, 7, -1, -1, -1, 5, 6, -1, 38, 2, 20, 1, 40, 3, 11, 12, 13};
  const mx::array three(rows.begin(), {2, 3, 3}, mx::int32);
  return mx::pad(three, {{0, 0}, {0, 0}, {0, count - 3}}, mx::array(-1));
}

TEST(SparseAttention, is_the_same_over_chosen_rows_as_over_all_masked) {
  const mx::array few = sparse_attention(example(choice(3)));
  const mx::array many = sparse_attention(example(choice(30)));
  EXPECT_EQ(few.shape(), (mx::Shape{2, 4, 3, 8}));
  EXPECT_TRUE(mx::allclose(few, many, 1e-5, 1e-6).item<bool>());
}

// More queries than are worked on at once.
TEST(SparseAttention, goes_through_many_queries_in_turn) {
  mx::set_default_device(mx::Device::cpu);
  const auto noise = [](const mx::Shape& shape, int seed) { return mx::random::normal(shape, mx::random::key(seed)); };
  const mx::array first = mx::random::randint(0, 20, {1, 600, 1}, mx::int32, mx::random::key(5));
  const mx::array two = mx::concatenate({first, mx::subtract(mx::array(39), first)}, -1);
  SparseAttention attention{
      noise({1, 2, 600, 8}, 1), noise({1, 1, 603, 8}, 2), noise({1, 1, 40, 8}, 3), two, 0.5F, 4, {}};
  const mx::array few = sparse_attention(attention);
  attention.chosen = mx::pad(two, {{0, 0}, {0, 0}, {0, 20}}, mx::array(-1));
  EXPECT_EQ(few.shape(), (mx::Shape{1, 2, 600, 8}));
  EXPECT_TRUE(mx::allclose(few, sparse_attention(attention), 1e-5, 1e-6).item<bool>());
}

TEST(SparseAttention, sees_the_window_alone_where_nothing_is_chosen) {
  SparseAttention plain = example(choice(3));
  plain.rows.reset();
  plain.chosen.reset();
  const mx::array chosen = sparse_attention(example(choice(3)));
  const mx::array window = sparse_attention(plain);
  const auto query = [](const mx::array& x, int batch, int token) {
    return mx::slice(x, {batch, 0, token, 0}, {batch + 1, 4, token + 1, 8});
  };
  EXPECT_TRUE(mx::allclose(query(chosen, 0, 1), query(window, 0, 1), 1e-5, 1e-6).item<bool>());
  EXPECT_FALSE(mx::allclose(query(chosen, 0, 0), query(window, 0, 0), 1e-5, 1e-6).item<bool>());
}

}  // namespace
}  // namespace pippin
