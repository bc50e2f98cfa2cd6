#include "package/front_matter.h"

#include <gtest/gtest.h>

using namespace pippin;

namespace {

std::string tags_with_mlx(const std::string& before) {
  auto front = FrontMatter::of_readme("---\n" + before + "---\nbody\n");
  if (!front) return "not understood";
  front->add_to_list("tags", "mlx");
  const auto text = front->text();
  return text.substr(4, text.size() - 8);
}

std::string with_library(const std::string& before) {
  auto front = FrontMatter::of_readme("---\n" + before + "---\n");
  if (!front) return "not understood";
  front->set("library_name", "mlx");
  const auto text = front->text();
  return text.substr(4, text.size() - 8);
}

}  // namespace

TEST(FrontMatter, WhatIsNotSetStaysAsItIs) {
  const std::string text =
      "---\n"
      "# a comment\n"
      "license: other   # see below\n"
      "language:\n- en\n- 'no'\n"
      "extra_gated_prompt: >-\n  ### A heading: not a key\n\n  text\n"
      "\"quoted key\": [1,\n  2]\n"
      "model-index:\n  - name: \"x: y\"\n    results: []\n"
      "\n"
      "---\n";
  const auto front = FrontMatter::of_readme(text + "# Body\n---\nmore\n");
  ASSERT_TRUE(front);
  EXPECT_EQ(front->text(), text);
}

TEST(FrontMatter, WhereItBegins) {
  EXPECT_EQ(FrontMatter::of_readme("\xef\xbb\xbf---\r\nlicense: mit\r\n---\r\nbody")->text(),
            "---\nlicense: mit\n---\n");
  EXPECT_EQ(FrontMatter::of_readme("\n\n--- \nlicense: mit\n---")->text(), "---\nlicense: mit\n---\n");
  EXPECT_EQ(FrontMatter::of_readme("---\n---\n")->text(), "---\n---\n");
}

TEST(FrontMatter, NotUnderstood) {
  for (const char* text :
       {"", "# title\n---\nlicense: mit\n---\n", "--\nlicense: mit\n--\n", "----\nlicense: mit\n----\n",
        "---\nlicense: mit\n", "---\nplain text\n---\n", "---\n- a list\n---\n", "---\n{license: mit}\n---\n",
        "---\n  indented: first\n---\n", "---\nlicense: \"\xff\"\n---\n", "---\n\ttab: 1\n---\n"})
    EXPECT_FALSE(FrontMatter::of_readme(text)) << text;
}

TEST(FrontMatter, Scalars) {
  const auto front = FrontMatter::of_readme(
      "---\na: plain # comment\nb: \"double\"\nc: 'single'\nd:\ne: ~\nf: [1]\ng: |\n  text\nurl: "
      "http://x.y:80/z#part\n---\n");
  EXPECT_EQ(front->scalar("a"), "plain");
  EXPECT_EQ(front->scalar("b"), "double");
  EXPECT_EQ(front->scalar("c"), "single");
  EXPECT_EQ(front->scalar("url"), "http://x.y:80/z#part");
  EXPECT_EQ(front->scalar("f"), std::nullopt);
  EXPECT_EQ(front->scalar("g"), std::nullopt);
  EXPECT_EQ(front->scalar("missing"), std::nullopt);
  for (const char* key : {"a", "b", "c", "f", "g", "url"}) EXPECT_TRUE(front->has(key)) << key;
  for (const char* key : {"d", "e", "missing", ""}) EXPECT_FALSE(front->has(key)) << key;
}

TEST(FrontMatter, SetsInPlaceOrAtTheEnd) {
  EXPECT_EQ(with_library(""), "library_name: mlx\n");
  EXPECT_EQ(with_library("license: mit\n"), "license: mit\nlibrary_name: mlx\n");
  EXPECT_EQ(with_library("library_name: transformers\nlicense: mit\n"), "library_name: mlx\nlicense: mit\n");
  EXPECT_EQ(with_library("'library_name' : x\nlicense: mit\n"), "library_name: mlx\nlicense: mit\n");
  EXPECT_EQ(with_library("library_name:\n- a\n- b\n\n# about b\nb: 1\n"), "library_name: mlx\n\n# about b\nb: 1\n");
  EXPECT_EQ(with_library("library_name: mlx # mine\n"), "library_name: mlx # mine\n");
  EXPECT_EQ(with_library("library_name: a\nb: 1\nlibrary_name: c\n"), "library_name: mlx\nb: 1\n");
}

TEST(FrontMatter, AddsToEveryKindOfList) {
  const std::pair<const char*, const char*> rows[] = {
      {"", "tags:\n- mlx\n"},
      {"tags:\n- a\n- b\nlicense: mit\n", "tags:\n- a\n- b\n- mlx\nlicense: mit\n"},
      {"tags:\n  - a\n", "tags:\n  - a\n  - mlx\n"},
      {"tags:\n- a\n\n# next\nb: 1\n", "tags:\n- a\n- mlx\n\n# next\nb: 1\n"},
      {"tags: # list\n# of tags\n- a\n", "tags: # list\n# of tags\n- a\n- mlx\n"},
      {"tags:\n- a\n- long\n  one\n", "tags:\n- a\n- long\n  one\n- mlx\n"},
      {"tags:\n- mlx\n- a\n", "tags:\n- mlx\n- a\n"},
      {"tags:\n- 'mlx' # yes\n", "tags:\n- 'mlx' # yes\n"},
      {"tags:\n- mlx-audio\n", "tags:\n- mlx-audio\n- mlx\n"},
      {"tags: [a, 'b, c']\n", "tags: [a, 'b, c', mlx]\n"},
      {"tags: [a, '] mlx, ']\n", "tags: [a, '] mlx, ', mlx]\n"},
      {"tags: [a, \"mlx\"]\n", "tags: [a, \"mlx\"]\n"},
      {"tags: [a,\n  mlx]\n", "tags: [a,\n  mlx]\n"},
      {"tags: [it's, b]\n", "tags: [it's, b, mlx]\n"},
      {"tags:\n- - mlx\n- a:\n  - mlx\n", "tags:\n- - mlx\n- a:\n  - mlx\n- mlx\n"},
      {"tags: []\n", "tags: [mlx]\n"},
      {"tags: [a,\n  b] # two\nc: 1\n", "tags: [a,\n  b, mlx] # two\nc: 1\n"},
      {"tags: one\n", "tags:\n- one\n- mlx\n"},
      {"tags: mlx\n", "tags:\n- mlx\n"},
      {"tags:\n", "tags:\n- mlx\n"},
      {"tags: null\n", "tags:\n- mlx\n"},
      {"tags: [[a]]\n", "tags:\n- mlx\n"},
      {"tags: |\n  text\n", "tags:\n- mlx\n"},
  };
  for (const auto& [before, expected] : rows) EXPECT_EQ(tags_with_mlx(before), expected) << before;
}

TEST(YamlScalar, QuotesWhatWouldReadBackAsSomethingElse) {
  EXPECT_EQ(yaml_scalar("meta-llama/Llama-3.2-1B"), "meta-llama/Llama-3.2-1B");
  EXPECT_EQ(yaml_scalar("01-ai/Yi-6B"), "\"01-ai/Yi-6B\"");
  EXPECT_EQ(yaml_scalar("No"), "\"No\"");
  EXPECT_EQ(yaml_scalar(""), "\"\"");
  EXPECT_EQ(yaml_scalar("a: b"), "\"a: b\"");
  EXPECT_EQ(yaml_scalar("a\"b\n"), "\"a\\\"b\\n\"");
}
