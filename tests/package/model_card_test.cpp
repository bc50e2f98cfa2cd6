#include "package/model_card.h"

#include <gmock/gmock.h>

using namespace pippin;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using Json = nlohmann::ordered_json;

namespace {

Plan tiny_plan(const char* target = "mlx-lm") {
  Plan plan;
  plan.outputs = {{"a.weight", DType::U32, {16, 8}, 0, 0, 512},
                  {"a.scales", DType::BF16, {16, 1}, 0, 512, 32},
                  {"a.biases", DType::BF16, {16, 1}, 0, 544, 32},
                  {"norm.weight", DType::BF16, {64}, 0, 576, 128}};
  plan.shards = {{"model.safetensors", "", 1000}};
  plan.config = Json::parse(R"({"quantization": {"group_size": 64, "bits": 4, "mode": "affine"}})");
  plan.model_type = "llama";
  plan.target = target;
  plan.output_bytes = 704;
  plan.total_parameters = 1088;
  return plan;
}

std::string front_of(const ModelCard& card) {
  return card.text.substr(0, card.text.find("---\n", 4) + 4);
}

}  // namespace

TEST(ModelCard, WholeForAQuantizedTextModel) {
  const SideFiles side_files{{"LICENSE", "USE_POLICY.md", "tokenizer.json"}, {}};
  const CardOptions options{"tiny-4bit", "org/tiny", {"pippin", "convert", "--model", "org/tiny", "-q"}};
  const auto card =
      model_card(tiny_plan(), side_files,
                 "---\nlicense: apache-2.0\npipeline_tag: text2text\n---\n# Old title\nold text\n", options);
  EXPECT_THAT(card.warnings, IsEmpty());
  EXPECT_EQ(
      card.text,
      "---\n"
      "license: apache-2.0\n"
      "pipeline_tag: text-generation\n"
      "library_name: mlx\n"
      "base_model: org/tiny\n"
      "tags:\n"
      "- mlx\n"
      "---\n"
      "\n"
      "# tiny-4bit\n"
      "\n"
      "This is [`org/tiny`](https://huggingface.co/org/tiny), converted to the MLX format for mlx-lm by "
      "pippin " PIPPIN_VERSION
      ".\n"
      "\n"
      "```bash\n"
      "pippin convert --model org/tiny -q\n"
      "```\n"
      "\n"
      "| | |\n"
      "| --- | --- |\n"
      "| Quantization | 4 bits, group size 64, affine |\n"
      "| Bits per weight | 5.176 |\n"
      "| Rounding | as MLX on Metal |\n"
      "| Tensors | 4 in 1 file |\n"
      "| Data types | 3 BF16, 1 U32 |\n"
      "| Parameters | 1,088 |\n"
      "| Size | 704 bytes (0.0 MiB) |\n"
      "\n"
      "## Use\n"
      "\n"
      "```bash\n"
      "pip install mlx-lm\n"
      "mlx_lm.generate --model tiny-4bit --prompt \"Hello\"\n"
      "```\n"
      "\n"
      "## Licence\n"
      "\n"
      "The source's licence applies: `apache-2.0`. See [LICENSE](<LICENSE>). See [USE_POLICY.md](<USE_POLICY.md>).\n");
}

TEST(ModelCard, InventsNothingForALocalSourceWithoutACard) {
  const auto card = model_card(tiny_plan(), {}, "", {"out", "", {}});
  EXPECT_EQ(front_of(card), "---\nlibrary_name: mlx\ntags:\n- mlx\npipeline_tag: text-generation\n---\n");
  EXPECT_THAT(card.text, HasSubstr("This is a local `llama` checkpoint, converted"));
  EXPECT_THAT(card.text, HasSubstr("The source's licence applies.\n"));
  EXPECT_THAT(card.warnings, IsEmpty());
}

TEST(ModelCard, KeepsTheSourcesBaseModelWhereItsOwnNameIsUnknown) {
  const auto card = model_card(tiny_plan(), {}, "---\nbase_model: org/parent\ntags: [a]\n---\n", {"out", "", {}});
  EXPECT_EQ(front_of(card),
            "---\nbase_model: org/parent\ntags: [a, mlx]\nlibrary_name: mlx\npipeline_tag: text-generation\n---\n");
}

TEST(ModelCard, MlxVlmKeepsThePipelineTag) {
  const auto kept = model_card(tiny_plan("mlx-vlm"), {}, "---\npipeline_tag: any-to-any\n---\n", {"out", "", {}});
  EXPECT_THAT(front_of(kept), HasSubstr("pipeline_tag: any-to-any\n"));
  const auto made = model_card(tiny_plan("mlx-vlm"), {}, "---\npipeline_tag:\n---\n", {"out", "", {}});
  EXPECT_THAT(front_of(made), HasSubstr("pipeline_tag: image-text-to-text\n"));
  EXPECT_THAT(made.text, HasSubstr("python -m mlx_vlm.generate --model out "));
}

TEST(ModelCard, FrontMatterThatCannotBeReadIsMadeAnew) {
  for (const char* readme : {"---\nlicense: mit\n", "---\nno mapping\n---\n", "---\nlicense: \xff\n---\n"}) {
    const auto card = model_card(tiny_plan(), {}, readme, {"out", "", {}});
    EXPECT_THAT(front_of(card), StartsWith("---\nlibrary_name: mlx\n")) << readme;
    EXPECT_THAT(card.warnings, ElementsAre(HasSubstr("cannot be read"))) << readme;
  }
  EXPECT_THAT(model_card(tiny_plan(), {}, "# Only a title\n", {"out", "", {}}).warnings, IsEmpty());
}

TEST(ModelCard, PlainModelHasNoRounding) {
  auto plan = tiny_plan();
  plan.config = Json::object();
  const auto card = model_card(plan, {}, "", {"out", "", {}});
  EXPECT_THAT(card.text, HasSubstr("| Quantization | none |"));
  EXPECT_THAT(card.text, Not(HasSubstr("Rounding")));
}

TEST(ModelCard, CommandWithBackticksStaysInItsBlock) {
  const auto card = model_card(tiny_plan(), {}, "", {"my model", "", {"pippin", "a b", "```", "it's"}});
  EXPECT_THAT(card.text, HasSubstr("\n````bash\npippin 'a b' '```' 'it'\\''s'\n````\n"));
  EXPECT_THAT(card.text, HasSubstr("--model 'my model'"));
}

TEST(QuantizationText, DefaultAndExceptions) {
  const std::pair<const char*, const char*> rows[] = {
      {R"({})", "none"},
      {R"({"quantization": null})", "none"},
      {R"({"quantization": {"group_size": 32, "bits": 8}})", "8 bits, group size 32, affine"},
      {R"({"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}})", "4 bits, group size 32, mxfp4"},
      {R"({"quantization": {"group_size": 64, "bits": 4, "a": {"group_size": 64, "bits": 6}, "b": {"group_size": 64, "bits": 6},
           "c": {"group_size": 64, "bits": 4}, "d": false, "e": true}})",
       "4 bits, group size 64, affine; 2 modules with 6 bits, group size 64, affine; 1 module not quantized"},
      {R"({"quantization": {"a": {"group_size": 64, "bits": 6}}})", "1 module with 6 bits, group size 64, affine"},
  };
  for (const auto& [config, expected] : rows) EXPECT_EQ(quantization_text(Json::parse(config)), expected) << config;
}

TEST(RepoOfCachePath, FromTheFolderOfTheHub) {
  EXPECT_EQ(repo_of_cache_path("/c/hub/models--meta-llama--Llama-3.2-1B/snapshots/4e20de3"), "meta-llama/Llama-3.2-1B");
  EXPECT_EQ(repo_of_cache_path("/c/hub/models--gpt2/snapshots/607a30d/"), "gpt2");
  EXPECT_EQ(repo_of_cache_path("/models/Llama-3.2-1B"), "");
  EXPECT_EQ(repo_of_cache_path("/models--/x"), "");
}
