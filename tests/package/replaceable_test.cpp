#include "package/replaceable.h"

#include <gmock/gmock.h>

#include "package/tiny_model.h"

using namespace pippin;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

// The entries that stand in the way; "no model" where it is just no model.
std::vector<std::string> in_the_way(const fs::path& folder, const std::vector<fs::path>& also_allowed = {}) {
  const auto status = check_replaceable(folder, also_allowed);
  if (status) return {};
  EXPECT_EQ(status.error().tag, ErrorTag::destination);
  return status.error().details.empty() ? std::vector<std::string>{"no model"} : status.error().details;
}

}  // namespace

TEST(Replaceable, AnMlxModel) {
  const TemporaryFolder root;
  write_tiny_model(root, "m", "old");
  for (const char* name : {"m/.DS_Store", "m/LICENSE", "m/merges.txt", "m/.pippin-journal", "m/generation_config.json"})
    root.write(name);
  EXPECT_THAT(in_the_way(root.path() / "m"), IsEmpty());
}

TEST(Replaceable, NotWhatSomebodyElsePutThere) {
  const TemporaryFolder root;
  write_tiny_model(root, "m", "old");
  for (const char* name : {"m/.git/HEAD", "m/notes.txt", "m/train.py", "m/results.json", "m/thesis.docx", "m/.env",
                           "m/adapters/adapters.safetensors"})
    root.write(name);
  fs::create_symlink("/", root.path() / "m/tokenizer_config.json");
  EXPECT_THAT(in_the_way(root.path() / "m"), ElementsAre(".env", ".git/", "adapters/", "notes.txt", "results.json",
                                                         "thesis.docx", "tokenizer_config.json", "train.py"));
}

TEST(Replaceable, WhatTheNewOutputBringsTooMayGo) {
  const TemporaryFolder root;
  write_tiny_model(root, "m", "old");
  root.write("m/modeling_x.py");
  root.write("m/encoder_config/config.json");
  EXPECT_THAT(in_the_way(root.path() / "m"), ElementsAre("encoder_config/", "modeling_x.py"));
  EXPECT_THAT(in_the_way(root.path() / "m", {"encoder_config/config.json", "modeling_x.py"}), IsEmpty());
  root.write("m/encoder_config/notes.txt");
  root.write("m/encoder_config/USE_POLICY.md");
  EXPECT_THAT(in_the_way(root.path() / "m", {"encoder_config/config.json", "modeling_x.py"}),
              ElementsAre("encoder_config/USE_POLICY.md", "encoder_config/notes.txt"));
}

TEST(Replaceable, NotWeightsOfAnotherFormat) {
  const TemporaryFolder root;
  write_tiny_model(root, "m", "old");
  root.write("m/model-00001-of-00002.safetensors", tiny_weights("pt"));
  root.write("m/model-00002-of-00002.safetensors", "torn");
  EXPECT_THAT(in_the_way(root.path() / "m"),
              ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"));
}

TEST(Replaceable, NotAFolderWithoutAModel) {
  const TemporaryFolder root;
  root.write("m/tokenizer.json");
  EXPECT_THAT(in_the_way(root.path() / "m"), ElementsAre("no model"));
  EXPECT_THAT(in_the_way(root.path() / "missing"), ElementsAre("no model"));
}

TEST(Replaceable, LongListsAreCut) {
  const TemporaryFolder root;
  for (int number = 100; number < 125; ++number) root.write(std::to_string(number) + ".jpg");
  const auto entries = in_the_way(root.path());
  EXPECT_EQ(entries.size(), 21u);
  EXPECT_EQ(entries.back(), "and 5 more");
}
