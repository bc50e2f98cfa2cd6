#include "package/package.h"

#include <gmock/gmock.h>

#include "package/tiny_model.h"

using namespace pippin;
using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

TEST(WritePackage, AllThatStandsAroundTheShards) {
  const TemporaryFolder cache;
  const TemporaryFolder output;
  const std::filesystem::path snapshot = "models--org--tiny/snapshots/1";
  cache.write(snapshot / "config.json", R"({"model_type": "llama", "limit": NaN, "vision_config": {}})");
  cache.write(snapshot / "model.safetensors", tiny_weights("pt"));
  cache.write(snapshot / "README.md", "---\nlicense: mit\n---\ntext");
  cache.write(snapshot / "chat_template.jinja", "{{ x }}");
  const auto source = Checkpoint::open(cache.path() / snapshot, FileSelection::mlx_vlm);
  ASSERT_TRUE(source) << source.error().message();
  const auto side_files = find_side_files(source->folder(), "mlx-vlm");
  ASSERT_TRUE(side_files);

  Plan plan;
  plan.target = "mlx-vlm";
  plan.config = Json::parse(R"({"model_type": "llama", "limit": {"__float__": "NaN"}})");
  plan.index_metadata = {{"total_size", 4}};
  plan.outputs = {{"w", DType::U8, {4}, 0, 0, 4}};
  plan.shards = {{"model.safetensors", "", 4}};
  const auto report = write_package(plan, *source, *side_files, output.path(), {"tiny", "", {"pippin"}});
  ASSERT_TRUE(report) << report.error().message();

  EXPECT_THAT(report->files,
              ElementsAre("README.md", "chat_template.jinja", "config.json", "model.safetensors.index.json"));
  EXPECT_THAT(report->warnings, ElementsAre(HasSubstr("no tokenizer"), HasSubstr("vision_config")));
  EXPECT_EQ(tree_of(output.path()), (std::set<std::string>(report->files.begin(), report->files.end())));
  EXPECT_EQ(output.read("config.json"), "{\n    \"limit\": NaN,\n    \"model_type\": \"llama\"\n}");
  EXPECT_THAT(output.read("model.safetensors.index.json"), HasSubstr("\"w\": \"model.safetensors\""));
  EXPECT_THAT(output.read("README.md"), HasSubstr("license: mit\nlibrary_name: mlx\nbase_model: org/tiny\n"));
  EXPECT_EQ(output.read("chat_template.jinja"), "{{ x }}");
}
