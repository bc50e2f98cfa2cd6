#include "linear/delta_rule.h"

#include <vector>

#include <gtest/gtest.h>

namespace pippin {
namespace {

TEST(DeltaRule, takes_what_the_key_finds_before_it_puts_the_value_in) {
  ThreadPool pool(1);
  const std::vector<float> q{1, 0, 1, 1};  // two tokens, one head, keys of two numbers, values of one
  const std::vector<float> k{1, 0, 1, 1};
  const std::vector<float> v{8, 10};
  const std::vector<float> decay{0.5F, 0.25F};
  const std::vector<float> beta{1, 0.5F};
  const std::vector<float> before{4, 8};
  std::vector<float> out(2);
  std::vector<float> after(2);
  DeltaRule task;
  task.length = 2;
  task.heads = 1;
  task.key_heads = 1;
  task.key_dim = 2;
  task.value_dim = 1;
  task.q = q.data();
  task.k = k.data();
  task.v = v.data();
  task.decay = decay.data();
  task.beta = beta.data();
  task.before = before.data();
  task.out = out.data();
  task.after = after.data();
  delta_rule(pool, task);
  // S = (2, 4); found 2; S = (8, 4): 8.  S = (2, 1); found 3; change 3.5: S = (5.5, 4.5): 10.
  EXPECT_EQ(out, (std::vector<float>{8, 10}));
  EXPECT_EQ(after, (std::vector<float>{5.5F, 4.5F}));
}

TEST(DeltaRule, gives_each_lane_its_own_state_whatever_the_threads) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    const std::vector<float> q{1, 1, 1, 1, 1, 1, 1, 1};  // two sequences, two tokens, two heads, width one
    const std::vector<float> v{1, 2, 3, 4, 5, 6, 7, 8};
    const std::vector<float> ones(8, 1);
    const std::vector<float> before{0, 0, 0, 0};
    std::vector<float> out(8);
    std::vector<float> after(4);
    DeltaRule task{2, 2, 2, 2, 1, 1, 1};
    task.q = q.data();
    task.k = q.data();
    task.v = v.data();
    task.decay = ones.data();
    task.beta = ones.data();
    task.before = before.data();
    task.out = out.data();
    task.after = after.data();
    delta_rule(pool, task);
    EXPECT_EQ(out, v);
    EXPECT_EQ(after, (std::vector<float>{3, 4, 7, 8}));
  }
}

TEST(DeltaRule, is_linear_attention_without_beta) {
  ThreadPool pool(1);
  const std::vector<float> q{1, 10};  // two tokens, one head of keys for two of values, width one
  const std::vector<float> k{2, 3};
  const std::vector<float> v{1, 2, 3, 4};
  const std::vector<float> decay{0, 1, 0.5F, 1};
  const std::vector<float> before{7, 5};
  std::vector<float> out(4);
  std::vector<float> after(2);
  DeltaRule task{1, 2, 2, 1, 1, 1, 1};
  task.q = q.data();
  task.k = k.data();
  task.v = v.data();
  task.decay = decay.data();
  task.before = before.data();
  task.out = out.data();
  task.after = after.data();
  delta_rule(pool, task);
  EXPECT_EQ(out, (std::vector<float>{2, 9, 100, 210}));
  EXPECT_EQ(after, (std::vector<float>{10, 21}));
}

}  // namespace
}  // namespace pippin
