#include "verify/written.h"

#include <gmock/gmock.h>

#include "package/temporary_folder.h"
#include "source/safetensors_writer.h"

using namespace pippin;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Json = nlohmann::ordered_json;

namespace {

const char* const config = R"({
    "hidden_size": 64,
    "limit": NaN,
    "quantization": {"group_size": 64, "bits": 4, "mode": "affine", "model.b": {"group_size": 32, "bits": 8}},
    "quantization_config": {"group_size": 64, "bits": 4, "mode": "affine", "model.b": {"group_size": 32, "bits": 8}}
})";
const char* const index = R"({"metadata": {"total_size": 12}, "weight_map": {
    "model.a.weight": "1.safetensors", "model.norm": "1.safetensors", "model.b.weight": "2.safetensors"}})";

// A plan of three tensors in two shards, and what it should write.
class WrittenTest : public testing::Test {
 protected:
  WrittenTest() {
    add_shard("1.safetensors", {{"model.a.weight", DType::U32, {1, 1}}, {"model.norm", DType::BF16, {2}}}, 0);
    add_shard("2.safetensors", {{"model.b.weight", DType::U32, {1, 1}}}, 1);
    plan.jobs = {{nullptr, QuantFormat{QuantMode::affine, 4, 64}, {0}, ""},
                 {nullptr, std::nullopt, {1}, ""},
                 {nullptr, QuantFormat{QuantMode::affine, 8, 32}, {2}, ""}};
    plan.index_metadata = {{"total_size", 12}};
    plan.config = Json::parse(config_with("NaN", R"({"__float__": "NaN"})"));
    folder.write("config.json", config);
    folder.write("model.safetensors.index.json", index);
  }

  static std::string config_with(const std::string& text, const std::string& instead) {
    std::string changed = config;
    for (auto place = changed.find(text); place != std::string::npos;
         place = changed.find(text, place + instead.size()))
      changed.replace(place, text.size(), instead);
    return changed;
  }

  void add_shard(const std::string& file, const std::vector<SafetensorsTensor>& tensors, uint32_t shard) {
    const auto header = safetensors_header(tensors, {{"format", "mlx"}});
    uint64_t offset = header.size();
    for (const auto& tensor : tensors) {
      const auto size = static_cast<uint64_t>(element_count(tensor.shape)) * size_of(tensor.dtype);
      plan.outputs.push_back({tensor.name, tensor.dtype, tensor.shape, shard, offset, size});
      offset += size;
    }
    plan.shards.push_back({file, header, offset});
    folder.write(file, header + std::string(offset - header.size(), 'd'));
  }

  std::vector<std::string> differences() const {
    const auto status = check_written(plan, folder.path());
    if (status) return {};
    EXPECT_EQ(status.error().tag, ErrorTag::incomplete);
    return status.error().details;
  }

  TemporaryFolder folder;
  Plan plan;
};

}  // namespace

TEST_F(WrittenTest, AsPlanned) {
  EXPECT_THAT(differences(), IsEmpty());
}

TEST_F(WrittenTest, FilesNotNamedByThePlanDoNotMatterUnlessTheyAreWeights) {
  folder.write("tokenizer.json");
  folder.write(".pippin-journal");
  EXPECT_THAT(differences(), IsEmpty());
  folder.write("model.safetensors");
  EXPECT_THAT(differences(), ElementsAre("model.safetensors is not planned; loaders would read it too"));
}

TEST_F(WrittenTest, MissingFiles) {
  for (const char* name : {"2.safetensors", "config.json", "model.safetensors.index.json"})
    std::filesystem::remove(folder.path() / name);
  EXPECT_THAT(differences(),
              ElementsAre("2.safetensors is missing", "model.safetensors.index.json is missing or no JSON",
                          HasSubstr("config.json")));
}

TEST_F(WrittenTest, TornShard) {
  std::filesystem::resize_file(folder.path() / "1.safetensors", plan.shards[0].size - 1);
  EXPECT_THAT(differences(), ElementsAre(HasSubstr("bytes, planned were " + std::to_string(plan.shards[0].size))));
}

TEST_F(WrittenTest, ShardOfZeros) {
  folder.write("2.safetensors", std::string(plan.shards[1].size, '\0'));
  EXPECT_THAT(differences(),
              ElementsAre("2.safetensors does not begin with the planned header", HasSubstr("2.safetensors")));
}

TEST_F(WrittenTest, HeaderThatIsNotThePlansTensors) {
  plan.outputs[0].shape = {2, 1};
  plan.outputs[1].name = "model.other";
  plan.outputs[2].dtype = DType::F32;
  auto differing = differences();
  ASSERT_EQ(differing.size(), 6u);
  EXPECT_THAT(differing[0], AllOf(HasSubstr("model.a.weight is U32 [1, 1]"), HasSubstr("planned was U32 [2, 1]")));
  EXPECT_EQ(differing[1], "1.safetensors: model.other is missing");
  EXPECT_EQ(differing[2], "1.safetensors: model.norm is not planned");
  EXPECT_THAT(differing[3], AllOf(HasSubstr("model.b.weight is U32"), HasSubstr("planned was F32")));
}

TEST_F(WrittenTest, HeaderWithOtherMetadata) {
  const SafetensorsTensor tensor{"model.b.weight", DType::U32, {1, 1}};
  folder.write("2.safetensors", safetensors_header({&tensor, 1}, {{"format", "pt "}}) + "data");
  plan.shards[1].size = std::filesystem::file_size(folder.path() / "2.safetensors");
  EXPECT_THAT(differences(), testing::Contains("2.safetensors does not begin with the planned header"));
}

TEST_F(WrittenTest, Index) {
  folder.write("model.safetensors.index.json", R"({"metadata": {"total_size": 13}, "weight_map": {
      "model.a.weight": "2.safetensors", "model.norm": "1.safetensors", "stray": "1.safetensors"}})");
  EXPECT_THAT(
      differences(),
      ElementsAre("model.safetensors.index.json: model.a.weight is \"2.safetensors\", planned was \"1.safetensors\"",
                  "model.safetensors.index.json: model.b.weight is missing",
                  "model.safetensors.index.json: stray is not planned",
                  "model.safetensors.index.json: metadata is {\"total_size\":13}, planned was {\"total_size\":12}"));
  for (const char* text : {"[]", "{", "null"}) {
    folder.write("model.safetensors.index.json", text);
    EXPECT_THAT(differences(), ElementsAre("model.safetensors.index.json is missing or no JSON")) << text;
  }
}

TEST_F(WrittenTest, ConfigThatIsNotThePlans) {
  folder.write("config.json", config_with("\"hidden_size\": 64", "\"hidden_size\": 65, \"more\": 1"));
  EXPECT_THAT(differences(),
              ElementsAre("config.json: hidden_size is 65, planned was 64", "config.json: more is not planned"));
  folder.write("config.json", "[]");
  EXPECT_THAT(differences(), ElementsAre("config.json is no object"));
}

TEST_F(WrittenTest, ConfigThatTellsLoadersTheWrongFormat) {
  const auto plan_and_write = [&](const std::string& text) {
    folder.write("config.json", text);
    plan.config = Json::parse(text);
  };
  plan_and_write(R"({"hidden_size": 64})");
  EXPECT_THAT(
      differences(),
      ElementsAre(
          "config.json: model.a is not quantized by quantization, in the weights it is 4 bits, group size 64, affine",
          StartsWith("config.json: model.b is not quantized by")));
  plan_and_write(R"({"quantization": {"group_size": 64, "bits": 4}})");
  EXPECT_THAT(differences(), ElementsAre(StartsWith("config.json: model.b is 4 bits, group size 64, affine by")));
  plan_and_write(
      R"({"quantization": {"group_size": 64, "bits": 4, "model.a": false, "model.b": {"bits": 8, "group_size": 32}}})");
  EXPECT_THAT(differences(), ElementsAre(StartsWith("config.json: model.a is not quantized by")));
  plan_and_write(R"({"quantization": {"bits": 4, "model.b": {"bits": 8, "group_size": 32}}})");
  EXPECT_THAT(differences(), IsEmpty());  // the mode's default is 64
  plan_and_write(
      R"({"quantization": {"group_size": 64, "bits": 4, "model.b": {"bits": 8, "group_size": 32}}, "quantization_config": {}})");
  EXPECT_THAT(differences(), ElementsAre("config.json: quantization and quantization_config differ"));
}

TEST_F(WrittenTest, LayersThatDequantizeCannotUndoAreNotDeclared) {
  folder.write("config.json", R"({"hidden_size": 64})");
  plan.config = Json::parse(R"({"hidden_size": 64})");
  plan.packed_undeclared = true;
  EXPECT_THAT(differences(), IsEmpty());
}

TEST_F(WrittenTest, LongListsAreCutAndCounted) {
  for (int number = 100; number < 125; ++number) folder.write(std::to_string(number) + ".safetensors");
  const auto status = check_written(plan, folder.path());
  EXPECT_THAT(status.error().value, HasSubstr("25 differences"));
  EXPECT_EQ(status.error().details.size(), 21u);
  EXPECT_EQ(status.error().details.back(), "and 5 more");
}
