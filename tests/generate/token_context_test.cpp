#include "generate/token_context.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <mlx/ops.h>

#include "generate/example_model.h"
#include "generate/model_parts.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

const std::vector<int32_t> ids{3, 1, 4, 1, 5, 9, 2, 6};

bool all_computed(const TokenContext& context) {
  const auto arrays = context.cache().arrays();
  return std::all_of(arrays.begin(), arrays.end(), [](const mx::array& array) { return array.is_available(); });
}

TEST(Contexts, ComputeAllLayers) {
  TokenContext context(example_model().parts().language, {});
  ASSERT_TRUE(context.read(ids));
  EXPECT_FALSE(all_computed(context));
  ASSERT_TRUE(context.settle());
  EXPECT_TRUE(all_computed(context));
}

TEST(Contexts, StopBetweenLayersAndGoOnLater) {
  std::atomic<bool> cancelled{true};
  TokenContext stopped(example_model().parts().language, {});
  ASSERT_TRUE(stopped.read(ids));
  ASSERT_TRUE(stopped.settle(&cancelled));
  EXPECT_FALSE(all_computed(stopped));
  TokenContext whole(example_model().parts().language, {});
  ASSERT_TRUE(whole.read(ids));
  ASSERT_TRUE(whole.settle());
  const auto after_stop = stopped.read({ids.data(), 1});
  const auto after_all = whole.read({ids.data(), 1});
  ASSERT_TRUE(after_stop && after_all);
  EXPECT_TRUE(mx::array_equal(*after_stop, *after_all).item<bool>());
}

}  // namespace
}  // namespace pippin
