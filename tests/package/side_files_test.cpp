#include "package/side_files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "package/temporary_folder.h"

using namespace pippin;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> carried(const TemporaryFolder& source, const char* target) {
  const auto found = find_side_files(source.path(), target);
  if (!found) return {found.error().message()};
  std::vector<std::string> names;
  for (const auto& file : found->files) names.push_back(file.string());
  return names;
}

const char* const whole_repository[] = {
    ".git/HEAD",
    ".gitattributes",
    "LICENSE",
    "README.md",
    "USE_POLICY.md",
    "adapter_config.json",
    "added_tokens.json",
    "assets/logo.png",
    "chat_template.jinja",
    "checkpoint-500/trainer_state.json",
    "config.json",
    "configuration_x.py",
    "consolidated.safetensors",
    "encoder_config/config.json",
    "generation_config.json",
    "hf_quant_config.json",
    "merges.txt",
    "model-00001-of-00001.safetensors",
    "model.gguf",
    "model.safetensors.index.json",
    "onnx/config.json",
    "original/params.json",
    "preprocessor_config.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "qwen.tiktoken",
    "rng_state_0.pth",
    "special_tokens_map.json",
    "tf_model.h5",
    "tokenizer.json",
    "tokenizer.model.v3",
    "tokenizer_config.json",
    "trainer_state.json",
    "training_args.bin",
    "vocab.bpe",
    "additional_chat_templates/tool_use.jinja",
};

}  // namespace

TEST(SideFiles, OfAWholeRepositoryForMlxLm) {
  const TemporaryFolder source;
  for (const char* name : whole_repository) source.write(name);
  EXPECT_THAT(carried(source, "mlx-lm"),
              ElementsAre("LICENSE", "USE_POLICY.md", "added_tokens.json", "additional_chat_templates/tool_use.jinja",
                          "chat_template.jinja", "configuration_x.py", "generation_config.json", "merges.txt",
                          "preprocessor_config.json", "qwen.tiktoken", "special_tokens_map.json", "tokenizer.json",
                          "tokenizer.model.v3", "tokenizer_config.json", "vocab.bpe"));
}

TEST(SideFiles, MlxVlmTakesFoldersOfConfigsToo) {
  const TemporaryFolder source;
  for (const char* name : {"encoder_config/config.json", "1_Pooling/config.json", "a/b/c/d.json", "2_Dense/config.json",
                           "2_Dense/model.safetensors", "assets/logo.png", "onnx/config.json", "data/.hidden",
                           "data/a.json", "mixed/a.json", "mixed/deeper/logo.png"})
    source.write(name);
  EXPECT_THAT(carried(source, "mlx-lm"), IsEmpty());
  EXPECT_THAT(carried(source, "mlx-vlm"),
              ElementsAre("1_Pooling/config.json", "a/b/c/d.json", "encoder_config/config.json"));
  EXPECT_THAT(find_side_files(source.path(), "mlx-vlm")->warnings, ElementsAre(HasSubstr("2_Dense")));
}

TEST(SideFiles, FoldersTooDeepAreLeftOut) {
  const TemporaryFolder source;
  source.write("a/b/c/d/e/f.json");
  EXPECT_THAT(carried(source, "mlx-vlm"), IsEmpty());
}

TEST(SideFiles, NamesOfEitherCase) {
  for (const char* name : {"License.txt", "NOTICE", "Tokenizer.JSON", "GEMMA_PROHIBITED_USE_POLICY.pdf",
                           "Privacy-Policy.pdf", "LICENCE-2.0"})
    EXPECT_TRUE(is_side_file(name)) << name;
  for (const char* name : {"CONFIG.JSON", "Readme.md", "MODEL.SAFETENSORS", "tokenizer.bin", "license.gguf",
                           ".env.json", "picture.png", "notes.md"})
    EXPECT_FALSE(is_side_file(name)) << name;
}

TEST(SideFiles, KnownNamesAreThoseOfModelsOnly) {
  for (const char* name :
       {"tokenizer_config.json", "generation_config.json", "merges.txt", "LICENSE", "spiece.model", "USE_POLICY.md"})
    EXPECT_TRUE(is_known_side_file(name)) << name;
  for (const char* name :
       {"notes.txt", "analysis.py", "results.json", "config.json", "thesis.docx", "insurance_policy.pdf"})
    EXPECT_FALSE(is_known_side_file(name)) << name;
}

TEST(SideFiles, CopiedByteForByteThroughLinks) {
  const TemporaryFolder cache;
  const TemporaryFolder output;
  const std::string bytes("\0\r\n\xff", 4);
  const std::string long_text(3'000'000, 'a');
  chmod(cache.write("blobs/1", bytes).c_str(), 0400);
  cache.write("snapshot/tokenizer.json", long_text);
  fs::create_symlink("../blobs/1", cache.path() / "snapshot/tokenizer.model");
  cache.write("snapshot/chat_templates/a.jinja", "t");

  const auto source = cache.path() / "snapshot";
  const auto found = find_side_files(source, "mlx-lm");
  ASSERT_TRUE(found);
  ASSERT_TRUE(copy_side_files(source, *found, output.path()));

  EXPECT_EQ(tree_of(output.path()),
            (std::set<std::string>{"chat_templates/a.jinja", "tokenizer.json", "tokenizer.model"}));
  EXPECT_EQ(output.read("tokenizer.model"), bytes);
  EXPECT_EQ(output.read("tokenizer.json"), long_text);
  EXPECT_FALSE(fs::is_symlink(output.path() / "tokenizer.model"));
  EXPECT_NE(fs::status(output.path() / "tokenizer.model").permissions() & fs::perms::owner_write, fs::perms::none);
}

TEST(SideFiles, LinksToFoldersAndPipesAreNotFollowed) {
  const TemporaryFolder source;
  const TemporaryFolder elsewhere;
  elsewhere.write("a.json");
  fs::create_directory_symlink(".", source.path() / "loop");
  fs::create_directory_symlink(elsewhere.path(), source.path() / "linked");
  ASSERT_EQ(mkfifo((source.path() / "tokenizer.json").c_str(), 0600), 0);
  EXPECT_THAT(carried(source, "mlx-vlm"), IsEmpty());
}

TEST(SideFiles, BrokenLinkIsAnError) {
  const TemporaryFolder source;
  fs::create_symlink("gone", source.path() / "unrelated.png");
  EXPECT_TRUE(find_side_files(source.path(), "mlx-lm"));
  fs::create_symlink("gone", source.path() / "tokenizer.json");
  const auto found = find_side_files(source.path(), "mlx-lm");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().tag, ErrorTag::not_found);
  EXPECT_THAT(found.error().value, HasSubstr("tokenizer.json"));
}

TEST(SideFiles, GitLfsPointerIsAnError) {
  const TemporaryFolder source;
  source.write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 17209920\n");
  const auto found = find_side_files(source.path(), "mlx-lm");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().tag, ErrorTag::bad_file);
  EXPECT_THAT(found.error().way_out, HasSubstr("git lfs pull"));
}

TEST(SideFiles, MissingSourceIsAnError) {
  EXPECT_EQ(find_side_files("/no/such/folder", "mlx-lm").error().tag, ErrorTag::io);
}

TEST(SideFiles, NamesThatDifferInCaseOnly) {
  const TemporaryFolder source;
  source.write("vocab.txt");
  source.write("Vocab.txt");
  if (tree_of(source.path()).size() == 1) GTEST_SKIP() << "this disk takes no notice of case";
  EXPECT_THAT(find_side_files(source.path(), "mlx-lm")->warnings, ElementsAre(HasSubstr("differ only in case")));
}

TEST(MissingSideFiles, TokenizerAndProcessor) {
  const Json text = Json::object();
  const Json vision = {{"vision_config", Json::object()}};
  const SideFiles nothing;
  const SideFiles tokenizer{{"tokenizer.json"}, {}};
  const SideFiles both{{"preprocessor_config.json", "tekken.json"}, {}};
  const SideFiles elsewhere{{"encoder/tokenizer.json"}, {}};
  EXPECT_THAT(missing_side_files(nothing, text, "mlx-lm"), ElementsAre(HasSubstr("no tokenizer")));
  EXPECT_THAT(missing_side_files(elsewhere, text, "mlx-vlm"), ElementsAre(HasSubstr("no tokenizer")));
  EXPECT_THAT(missing_side_files(tokenizer, text, "mlx-vlm"), IsEmpty());
  EXPECT_THAT(missing_side_files(tokenizer, vision, "mlx-vlm"), ElementsAre(HasSubstr("vision_config")));
  EXPECT_THAT(missing_side_files(tokenizer, vision, "mlx-lm"), IsEmpty());
  EXPECT_THAT(missing_side_files(tokenizer, Json{{"vision_config", nullptr}}, "mlx-vlm"), IsEmpty());
  EXPECT_THAT(missing_side_files(both, vision, "mlx-vlm"), IsEmpty());
}
