#include "pippin/generate.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/answer.h"
#include "generate/example_model.h"
#include "generate/token_source.h"

namespace pippin {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* genesis = "In the beginning God";

Generation must(Result<Generation> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

TEST(Generation, TheExampleKnowsItsFirstVerse) {
  const auto result = must(generate(example_model(), plain(genesis), up_to(20)));
  EXPECT_THAT(result.text, StartsWith(" created the heaven and the earth."));
  EXPECT_EQ(result.finish, FinishReason::length);
  EXPECT_EQ(result.generated_tokens, 20);
  EXPECT_EQ(result.ids.size(), 20u);
  EXPECT_GT(result.peak_memory, 0u);
}

TEST(Generation, IsRepeatable) {
  const auto first = must(generate(example_model(), plain(genesis), up_to(40)));
  EXPECT_EQ(must(generate(example_model(), plain(genesis), up_to(40))).ids, first.ids);
}

TEST(Generation, TheStepsOfThePromptDoNotMatter) {
  GenerateOptions options = up_to(20);
  const auto whole = must(generate(example_model(), plain(genesis), options));
  options.prefill_step = 1;
  EXPECT_EQ(must(generate(example_model(), plain(genesis), options)).ids, whole.ids);
}

TEST(Generation, SegmentsJoinedAreTheText) {
  std::string joined;
  const auto result = must(stream(example_model(), plain(genesis), up_to(30), [&](const Segment& segment) {
    joined += segment.text;
    return true;
  }));
  EXPECT_EQ(joined, result.text);
}

TEST(Generation, TheCallbackEndsIt) {
  int calls = 0;
  const auto result =
      must(stream(example_model(), plain(genesis), up_to(30), [&](const Segment&) { return ++calls < 3; }));
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(result.finish, FinishReason::callback);
  EXPECT_EQ(result.generated_tokens, 3);
}

TEST(Generation, StopTextsAreNeverShown) {
  GenerateOptions options = up_to(30);
  options.stop = {"heaven and"};
  std::string shown;
  const auto result = must(stream(example_model(), plain(genesis), options, [&](const Segment& segment) {
    shown += segment.text;
    return true;
  }));
  EXPECT_EQ(shown, " created the ");
  EXPECT_EQ(result.text, shown);
  EXPECT_EQ(result.finish, FinishReason::stop_text);
}

TEST(Generation, AChatEndsWithItsEndToken) {
  Prompt prompt;
  prompt.text = "In the beginning";
  const auto result = must(generate(example_model(), prompt, up_to(200)));
  EXPECT_EQ(result.finish, FinishReason::end);
  EXPECT_EQ(result.generated_tokens, static_cast<int>(result.ids.size()) + 1);
  EXPECT_THAT(result.text, testing::Not(HasSubstr("<|end|>")));
}

TEST(Generation, ExtraEndTokens) {
  GenerateOptions options = up_to(30);
  const auto ids = must(generate(example_model(), plain(genesis), options)).ids;
  options.extra_eos = {std::to_string(ids[3])};
  const auto result = must(generate(example_model(), plain(genesis), options));
  EXPECT_EQ(result.finish, FinishReason::end);
  EXPECT_EQ(result.ids, std::vector<int32_t>(ids.begin(), ids.begin() + 3));
}

TEST(Generation, ABegunAnswerGoesOn) {
  Prompt prompt;
  prompt.text = "Recite.";
  prompt.prefill = genesis;
  EXPECT_THAT(must(generate(example_model(), prompt, up_to(8))).text, StartsWith(" created the"));
}

TEST(Generation, SamplesWithASeed) {
  GenerateOptions options = up_to(20);
  options.sampling.temperature = 1.2;
  options.sampling.top_p = 0.95;
  options.sampling.seed = 3;
  const auto first = must(generate(example_model(), plain(genesis), options));
  EXPECT_EQ(must(generate(example_model(), plain(genesis), options)).ids, first.ids);
  options.sampling.seed = 4;
  EXPECT_NE(must(generate(example_model(), plain(genesis), options)).ids, first.ids);
}

TEST(Generation, RepetitionPenaltyChangesTheAnswer) {
  GenerateOptions options = up_to(40);
  const auto free = must(generate(example_model(), plain(genesis), options));
  options.sampling.repetition_penalty = 1.5;
  EXPECT_NE(must(generate(example_model(), plain(genesis), options)).ids, free.ids);
}

TEST(Generation, ALogitBiasForbidsAToken) {
  GenerateOptions options = up_to(1);
  const auto first = must(generate(example_model(), plain(genesis), options)).ids;
  options.sampling.logit_bias = {{first[0], -1000}};
  EXPECT_NE(must(generate(example_model(), plain(genesis), options)).ids, first);
}

// 8 bits for keys and values change next to nothing.
TEST(Generation, QuantizedKeysAndValues) {
  GenerateOptions options = up_to(12);
  const auto exact = must(generate(example_model(), plain(genesis), options));
  options.kv_bits = 8;
  for (const int start : {0, 6, 5000}) {
    options.quantized_kv_start = start;
    EXPECT_EQ(must(generate(example_model(), plain(genesis), options)).text, exact.text) << start;
  }
}

TEST(Generation, AContextThatOverflows) {
  std::string words;
  for (int k = 0; k < 600; ++k) words += " and";
  const auto refused = generate(example_model(), plain(words), up_to(5));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().tag, ErrorTag::usage);
  EXPECT_EQ(refused.error().rule, "a prompt fits into the model's context");

  Prompt nearly;
  nearly.ids.assign(508, 300);
  GenerateOptions options = up_to(-1);
  options.sampling.logit_bias = {{1, -1000}, {5, -1000}};
  const auto full = must(generate(example_model(), nearly, options));
  EXPECT_EQ(full.finish, FinishReason::context);
  EXPECT_EQ(full.generated_tokens, 5);

  options.max_tokens = 20;
  options.max_kv_size = 64;
  EXPECT_EQ(must(generate(example_model(), nearly, options)).finish, FinishReason::length);
}

TEST(Generation, IsCancelled) {
  std::atomic<bool> cancelled{false};
  GenerateOptions options = up_to(50);
  options.cancelled = &cancelled;
  const auto result = must(stream(example_model(), plain(genesis), options, [&](const Segment& segment) {
    if (segment.text == " the") cancelled = true;
    return true;
  }));
  EXPECT_EQ(result.finish, FinishReason::cancelled);
  EXPECT_EQ(result.text, " created the");
}

TEST(Generation, IsCancelledBeforeThePromptIsRead) {
  const std::atomic<bool> cancelled{true};
  GenerateOptions options = up_to(50);
  options.cancelled = &cancelled;
  const auto result = must(generate(example_model(), plain(genesis), options));
  EXPECT_EQ(result.finish, FinishReason::cancelled);
  EXPECT_EQ(result.generated_tokens, 0);
  EXPECT_EQ(result.prompt_speed(), 0);
}

TEST(Generation, RefusesPromptsThatAreNone) {
  const auto rule = [](const Prompt& prompt) {
    const auto result = generate(example_model(), prompt, up_to(2));
    return result ? std::string("fine") : std::string(name_of(result.error().tag)) + ": " + result.error().rule;
  };
  EXPECT_THAT(rule(plain("\xff\xfe")), StartsWith("usage: "));
  Prompt ids;
  ids.ids = {1, 2048};
  EXPECT_EQ(rule(ids), "usage: token ids lie in the model's vocabulary");
  ids.ids = {-1};
  EXPECT_EQ(rule(ids), "usage: token ids lie in the model's vocabulary");
  Prompt messages;
  messages.messages = "{}";
  EXPECT_THAT(rule(messages), StartsWith("usage: messages are a list"));
}

TEST(Generation, RefusesOptionsThatMakeNoSense) {
  GenerateOptions options = up_to(0);
  EXPECT_FALSE(generate(example_model(), plain(genesis), options));
  options = up_to(1);
  options.kv_bits = 7;
  EXPECT_FALSE(generate(example_model(), plain(genesis), options));
  options = up_to(1);
  options.extra_eos = {"no token"};
  EXPECT_FALSE(generate(example_model(), plain(genesis), options));
}

// What a GPU does: the next token is begun before this one is known.
TEST(PlainTokens, AheadGivesTheSame) {
  const Model::Parts& parts = example_model().parts();
  const GenerateOptions options = up_to(10);
  const auto tokens = [&](bool ahead) {
    TokenContext context(parts.language, options);
    TokenChooser chooser(options.sampling, {});
    PlainTokens source(context, chooser, options, ahead);
    EXPECT_TRUE(source.start(std::vector<int32_t>{0, 300, 301}));
    std::vector<int32_t> ids;
    for (int k = 0; k < 10; ++k) ids.push_back(*source.next());
    EXPECT_TRUE(source.finish());
    EXPECT_EQ(context.tokens().size(), 12u);
    EXPECT_EQ(context.cache().offset(), 12);
    EXPECT_EQ(context.tokens().back(), ids[8]);
    return ids;
  };
  EXPECT_EQ(tokens(true), tokens(false));
}

TEST(Loading, AFolderWithoutATokenizer) {
  const ExampleCopy copy;
  copy.remove("tokenizer.json");
  const auto model = load(copy.path());
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().tag, ErrorTag::not_found);
  EXPECT_EQ(model.error().rule, "a model's folder has a tokenizer");
}

TEST(Loading, TruncatedWeights) {
  const ExampleCopy copy;
  std::filesystem::resize_file(copy.path() / "model-00002-of-00002.safetensors", 1000000);
  const auto model = load(copy.path());
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().tag, ErrorTag::bad_file);
}

TEST(Loading, NoFolder) {
  const auto model = load("/nonexistent/model");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().tag, ErrorTag::not_found);
}

TEST(Loading, ATemplateThatLoops) {
  const ExampleCopy copy;
  copy.write("chat_template.jinja",
             "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}"
             "{% endfor %}");
  const auto model = load(copy.path());
  ASSERT_TRUE(model) << model.error().message();
  Prompt prompt;
  prompt.text = "hello";
  const auto result = generate(*model, prompt, up_to(2));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().tag, ErrorTag::bad_file);
}

}  // namespace
}  // namespace pippin
