#include "linear/delta_rule.h"

#include <vector>

#include <gtest/gtest.h>

namespace pippin {
namespace {

using Floats = std::vector<float>;

struct Inputs {
  Floats q, k, v, decay, beta, before;  // no beta: linear attention
};
struct Outputs {
  Floats out, after;
};

// sizes: batch, length, heads, key heads, key and value width, decays.
Outputs delta_rule_of(int threads, DeltaRule sizes, const Inputs& in) {
  ThreadPool pool(threads);
  Outputs result{Floats(in.v.size()), Floats(in.before.size())};
  sizes.q = in.q.data();
  sizes.k = in.k.data();
  sizes.v = in.v.data();
  sizes.decay = in.decay.data();
  sizes.beta = in.beta.empty() ? nullptr : in.beta.data();
  sizes.before = in.before.data();
  sizes.out = result.out.data();
  sizes.after = result.after.data();
  delta_rule(pool, sizes);
  return result;
}

TEST(DeltaRule, takes_what_the_key_finds_before_it_puts_the_value_in) {
  // Two tokens, one head, keys of two numbers, values of one.
  const Inputs in{{1, 0, 1, 1}, {1, 0, 1, 1}, {8, 10}, {0.5F, 0.25F}, {1, 0.5F}, {4, 8}};
  const Outputs result = delta_rule_of(1, {1, 2, 1, 1, 2, 1, 1}, in);
  // S = (2, 4); found 2; S = (8, 4): 8.  S = (2, 1); found 3; change 3.5: S = (5.5, 4.5): 10.
  EXPECT_EQ(result.out, (Floats{8, 10}));
  EXPECT_EQ(result.after, (Floats{5.5F, 4.5F}));
}

TEST(DeltaRule, gives_each_lane_its_own_state_whatever_the_threads) {
  // Two sequences, two tokens, two heads, width one.
  const Floats ones(8, 1);
  const Inputs in{ones, ones, {1, 2, 3, 4, 5, 6, 7, 8}, ones, ones, {0, 0, 0, 0}};
  for (const int threads : {1, 3}) {
    const Outputs result = delta_rule_of(threads, {2, 2, 2, 2, 1, 1, 1}, in);
    EXPECT_EQ(result.out, in.v);
    EXPECT_EQ(result.after, (Floats{3, 4, 7, 8}));
  }
}

TEST(DeltaRule, is_linear_attention_without_beta) {
  // Two tokens, one head of keys for two of values, width one.
  const Inputs in{{1, 10}, {2, 3}, {1, 2, 3, 4}, {0, 1, 0.5F, 1}, {}, {7, 5}};
  const Outputs result = delta_rule_of(1, {1, 2, 2, 1, 1, 1, 1}, in);
  EXPECT_EQ(result.out, (Floats{2, 9, 100, 210}));
  EXPECT_EQ(result.after, (Floats{10, 21}));
}

}  // namespace
}  // namespace pippin
