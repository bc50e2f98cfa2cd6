#include "generate/speculative_tokens.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/example_model.h"
#include "generate/model_parts.h"
#include "pippin/prompt_cache.h"

namespace pippin {
namespace {

constexpr const char* genesis = "In the beginning God";

// The example once more.
const Model& draft_model() {
  static const auto model = [] {
    const ExampleCopy copy;
    copy.write("generation_config.json", "{}");
    return load(copy.path());
  }();
  if (!model) throw std::runtime_error(model.error().message());
  return *model;
}

Generation must(Result<Generation> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

std::string rule_of(const Result<Generation>& result) {
  return result ? "fine" : std::string(name_of(result.error().tag)) + ": " + result.error().rule;
}

TEST(Speculative, TheModelItselfDraftsWell) {
  GenerateOptions options = up_to(40);
  const auto without = must(generate(example_model(), plain(genesis), options));
  options.draft = &draft_model();
  for (const int count : {1, 2, 3, 7}) {
    options.draft_tokens = count;
    const auto with = must(generate(example_model(), plain(genesis), options));
    EXPECT_EQ(with.ids, without.ids) << count;
    EXPECT_EQ(with.text, without.text);
    EXPECT_GT(with.accepted_tokens, 15) << count;
  }
}

// Drafts that are mostly wrong change nothing: the draft chooses by other logits.
TEST(Speculative, ABadDraftChangesNothing) {
  const Model::Parts& parts = example_model().parts();
  GenerateOptions options = up_to(30);
  const auto without = must(generate(example_model(), plain(genesis), options));
  TokenContext context(parts.language, options);
  TokenContext draft(parts.language, options);
  ASSERT_TRUE(draft.read(std::vector<int32_t>{400, 401, 402}));  // another past
  for (size_t k = 0; k < 3; ++k) draft.learn(k, 0);
  TokenChooser chooser(options.sampling, {});
  SpeculativeTokens source(context, draft, chooser, options, 30);
  const auto prompt = *parts.tokenizer.encode(genesis);
  ASSERT_TRUE(source.start(prompt));
  std::vector<int32_t> ids;
  for (int k = 0; k < 30; ++k) ids.push_back(*source.next());
  EXPECT_EQ(ids, without.ids);
  ASSERT_TRUE(source.finish());
  EXPECT_EQ(context.tokens().size(), prompt.size() + 29);
  EXPECT_EQ(context.cache().offset(), static_cast<int>(prompt.size()) + 29);
  EXPECT_EQ(context.tokens().back(), ids[28]);
}

TEST(Speculative, WithPenaltiesQuantizedKeysAndSteps) {
  GenerateOptions options = up_to(30);
  options.sampling.repetition_penalty = 1.3;
  options.prefill_step = 2;
  const auto without = must(generate(example_model(), plain(genesis), options));
  options.draft = &draft_model();
  EXPECT_EQ(must(generate(example_model(), plain(genesis), options)).ids, without.ids);
  options.kv_bits = 8;
  options.quantized_kv_start = 6;
  EXPECT_EQ(must(generate(example_model(), plain(genesis), options)).generated_tokens, 30);
}

TEST(Speculative, SamplesWithASeed) {
  GenerateOptions options = up_to(20);
  options.draft = &draft_model();
  options.sampling.temperature = 0.8;
  options.sampling.seed = 5;
  const auto first = must(generate(example_model(), plain(genesis), options));
  EXPECT_EQ(must(generate(example_model(), plain(genesis), options)).ids, first.ids);
}

TEST(Speculative, EndsWhereTheAnswerEnds) {
  Prompt prompt;
  prompt.text = "In the beginning";
  GenerateOptions options = up_to(200);
  const auto without = must(generate(example_model(), prompt, options));
  options.draft = &draft_model();
  options.draft_tokens = 5;
  const auto with = must(generate(example_model(), prompt, options));
  EXPECT_EQ(with.ids, without.ids);
  EXPECT_EQ(with.finish, FinishReason::end);
}

TEST(Speculative, ContinuesAPromptCache) {
  GenerateOptions options = up_to(12);
  const auto cache = PromptCache::of(example_model(), plain(genesis), options);
  ASSERT_TRUE(cache);
  Prompt rest;
  rest.ids = {300};
  const auto without = must(cache->stream(rest, options));
  options.draft = &draft_model();
  EXPECT_EQ(must(cache->stream(rest, options)).ids, without.ids);
}

TEST(Speculative, RefusesWhatCannotBe) {
  GenerateOptions options = up_to(4);
  options.draft = &draft_model();
  options.draft_tokens = 0;
  EXPECT_EQ(rule_of(generate(example_model(), plain(genesis), options)), "usage: num-draft-tokens is at least 1");
  options.draft_tokens = 3;
  options.max_kv_size = 64;
  EXPECT_EQ(rule_of(generate(example_model(), plain(genesis), options)),
            "usage: keys of wrong drafts can be forgotten again");
  options.max_kv_size.reset();
  const ExampleCopy copy;
  copy.write("added_tokens.json", "{}");
  std::ifstream in(copy.path() / "tokenizer.json");
  std::string tokenizer(std::istreambuf_iterator<char>(in), {});
  const std::string added = "\"added_tokens\": [";
  const size_t at = tokenizer.find("\"added_tokens\"");
  ASSERT_NE(at, std::string::npos);
  const size_t open = tokenizer.find('[', at) + 1;
  tokenizer.insert(open,
                   R"({"id": 2048, "content": "<|more|>", "single_word": false, "lstrip": false, "rstrip": false,)"
                   R"("normalized": false, "special": true},)");
  copy.write("tokenizer.json", tokenizer);
  const auto other = load(copy.path());
  ASSERT_TRUE(other) << other.error().message();
  options.draft = &*other;
  EXPECT_EQ(rule_of(generate(example_model(), plain(genesis), options)),
            "usage: a draft model has the model's tokenizer");
}

}  // namespace
}  // namespace pippin
