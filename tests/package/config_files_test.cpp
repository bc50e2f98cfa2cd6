#include "package/config_files.h"

#include <gtest/gtest.h>

using namespace pippin;
using Json = nlohmann::ordered_json;

TEST(ConfigText, SortsTheTopLevelOnly) {
  Plan plan;
  plan.config = Json::parse(R"({"rope_theta": 1000000.0, "eps": 1e-05, "Z": {"b": 1, "a": 2}})");
  EXPECT_EQ(config_text(plan, NonfiniteForm::tagged), R"({
    "Z": {
        "b": 1,
        "a": 2
    },
    "eps": 1e-05,
    "rope_theta": 1000000.0
})");
}

TEST(ConfigText, MlxVlmWritesBackWhatTheSourceHas) {
  const char* with_tags = R"({"limit": [0.0, {"__float__": "Infinity"}]})";
  const char* with_literals = R"({"limit": [0.0, Infinity]})";
  EXPECT_EQ(nonfinite_form("mlx-lm", with_tags), NonfiniteForm::tagged);
  EXPECT_EQ(nonfinite_form("mlx-lm", with_literals), NonfiniteForm::tagged);
  EXPECT_EQ(nonfinite_form("mlx-vlm", with_tags), NonfiniteForm::tagged);
  EXPECT_EQ(nonfinite_form("mlx-vlm", with_literals), NonfiniteForm::literal);
}

TEST(IndexText, NamesSortedWithTheirShards) {
  Plan plan;
  plan.shards = {{"model-00001-of-00002.safetensors", "", 0}, {"model-00002-of-00002.safetensors", "", 0}};
  plan.outputs = {{"b.weight", DType::U8, {1}, 1, 0, 1}, {"a.weight", DType::U8, {1}, 0, 0, 1}};
  plan.index_metadata = {{"total_size", 2}, {"total_parameters", 2}};
  EXPECT_EQ(index_text(plan), R"({
    "metadata": {
        "total_size": 2,
        "total_parameters": 2
    },
    "weight_map": {
        "a.weight": "model-00001-of-00002.safetensors",
        "b.weight": "model-00002-of-00002.safetensors"
    }
})");
}

TEST(IndexText, NoTensors) {
  Plan plan;
  plan.index_metadata = Json{{"total_size", 0}};
  EXPECT_EQ(index_text(plan), "{\n    \"metadata\": {\n        \"total_size\": 0\n    },\n    \"weight_map\": {}\n}");
}
