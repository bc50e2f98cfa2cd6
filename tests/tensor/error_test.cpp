#include "pippin/error.h"

#include <gtest/gtest.h>

using namespace pippin;

namespace {

Result<int> half_of(int value) {
  if (value % 2 != 0) return fail(ErrorTag::usage, "the number is even", "7");
  return value / 2;
}

Result<int> quarter_of(int value) {
  PIPPIN_TRY(const int half, half_of(value));
  return half_of(half);
}

}  // namespace

TEST(Error, MessageHasValueRuleDetailsAndWayOut) {
  const Error error{
      ErrorTag::mismatch, "every tensor is known", "2 tensors are not", "check the model type", {"a", "b"}};
  EXPECT_EQ(error.message(),
            "2 tensors are not\n  rule: every tensor is known\n  - a\n  - b\n  what to do: check the model type");
  EXPECT_EQ((Error{ErrorTag::io, "", "read failed", "", {}}.message()), "read failed");
}

TEST(Error, TryPassesTheErrorOn) {
  EXPECT_EQ(quarter_of(8), 2);
  EXPECT_EQ(quarter_of(14).error().rule, "the number is even");
  EXPECT_EQ(name_of(quarter_of(14).error().tag), "usage");
}
