#include "runtime/recurrence.h"

#include <ostream>

#include <gtest/gtest.h>
#include <mlx/ops.h>
#include <mlx/random.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

float largest(const mx::array& x) {
  return mx::max(mx::abs(x)).item<float>();
}

// Two batches, 2 heads of keys, 4 of values; keys of length 1, as all models have them where there is a beta.
DeltaInputs random_inputs(int length, float least_decay, bool with_beta) {
  mx::random::seed(7);
  const auto normal = [](const mx::Shape& shape) { return mx::random::normal(shape); };
  const mx::array k = normal({2, length, 2, 8});
  DeltaInputs in{normal({2, length, 2, 8}), mx::divide(k, mx::sqrt(mx::sum(mx::square(k), -1, true))),
                 normal({2, length, 4, 6}), mx::random::uniform(least_decay, 1.0F, {2, length, 4, 1}), std::nullopt};
  if (with_beta) in.beta = mx::random::uniform(0.0F, 1.0F, {2, length, 4});
  return in;
}

struct Case {
  int length;
  float least_decay;
  bool with_beta;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.length << " tokens, " << (c.with_beta ? "delta rule" : "linear");
}

class DeltaChunks : public testing::TestWithParam<Case> {};

TEST_P(DeltaChunks, GiveWhatStepsGive) {
  const auto [length, least_decay, with_beta] = GetParam();
  const DeltaInputs in = random_inputs(length, least_decay, with_beta);
  const mx::array state = mx::random::normal({2, 4, 8, 6});
  const auto [results, after] = delta_chunks(in, state);
  const auto [expected, expected_after] = delta_steps(in, state);
  ASSERT_EQ(results.shape(), expected.shape());
  ASSERT_EQ(after.shape(), expected_after.shape());
  EXPECT_LT(largest(mx::subtract(results, expected)), 1e-5F * largest(expected));
  EXPECT_LT(largest(mx::subtract(after, expected_after)), 1e-5F * largest(expected_after));
}

INSTANTIATE_TEST_SUITE_P(Lengths, DeltaChunks,
                         testing::Values(Case{1, 0.5F, true}, Case{2, 0.5F, true}, Case{24, 0.9F, true},
                                         Case{64, 0.99F, true}, Case{65, 0.5F, true}, Case{200, 0.999F, true},
                                         Case{24, 0.5F, false}, Case{130, 0.99F, false}));

TEST(DeltaChunk, ADecayOfZeroForgetsAll) {
  DeltaInputs in = random_inputs(20, 0.5F, true);
  in.decay = mx::where(mx::reshape(mx::equal(mx::arange(20), mx::array(11)), {1, 20, 1, 1}), mx::array(0.0F), in.decay);
  const mx::array state = mx::random::normal({2, 4, 8, 6});
  const auto found = delta_chunks(in, state);
  const auto expected = delta_steps(in, state);
  EXPECT_LT(largest(mx::subtract(found.first, expected.first)), 1e-5F * largest(expected.first));
}

// Equal keys and betas of 1 are the hardest to invert by powers of the matrix.
TEST(DeltaChunk, EqualKeysLoseNoPrecision) {
  DeltaInputs in = random_inputs(64, 0.9999F, true);
  in.k = mx::broadcast_to(mx::slice(in.k, {0, 0, 0, 0}, {2, 1, 2, 8}), in.k.shape());
  in.beta = mx::ones({2, 64, 4});
  const mx::array state = mx::zeros({2, 4, 8, 6});
  const auto found = delta_chunks(in, state);
  const auto expected = delta_steps(in, state);
  EXPECT_LT(largest(mx::subtract(found.first, expected.first)), 1e-5F * largest(expected.first));
}

}  // namespace
}  // namespace pippin
