#include "pippin/batch.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "generate/example_model.h"

namespace pippin {
namespace {

using testing::ElementsAre;

std::string fate(std::string_view line) {
  const auto item = parse_batch_line(line, "line 7", {});
  return item ? "fine" : item.error().rule + " (" + item.error().value + ")";
}

TEST(BatchLines, SayWhatIsWrong) {
  EXPECT_EQ(fate(R"({"prompt": "x", "max_tokens": 3, "id": [1], "other": true})"), "fine");
  EXPECT_EQ(fate(R"({"messages": [{"role": "user", "content": "x"}]})"), "fine");
  EXPECT_THAT(fate("{"), testing::HasSubstr("line 7"));
  EXPECT_EQ(fate("[]"), "a line of a batch is a JSON object (line 7: array)");
  EXPECT_EQ(fate("{}"), "a line of a batch has a prompt or messages (line 7: neither)");
  EXPECT_EQ(fate(R"({"prompt": 3})"), "a prompt is a text (line 7: number)");
  EXPECT_EQ(fate(R"({"messages": []})"), "messages are a list of objects with role and content (line 7: array)");
  for (const char* most : {"0", "-2", "1.5", "\"5\"", "99999999999999"}) {
    EXPECT_EQ(fate(std::string(R"({"prompt": "x", "max_tokens": )") + most + "}"),
              std::string("max_tokens is at least 1, or -1 for no limit (line 7: ") + most + ")");
  }
}

struct Run {
  BatchReport report;
  std::vector<nlohmann::json> rows;
};

Run run_of(const std::vector<std::string>& lines, const GenerateOptions& options, const PromptCache* cache = nullptr,
           std::atomic<bool>* stop_after_first = nullptr) {
  Run run;
  Prompt defaults;
  defaults.use_template = false;
  auto report = generate_batch(example_model(), lines, defaults, options, cache, [&](const BatchResult& result) {
    run.rows.push_back(nlohmann::json::parse(json_line(result)));
    if (stop_after_first != nullptr) *stop_after_first = true;
    return Status{};
  });
  if (!report) throw std::runtime_error(report.error().message());
  run.report = *report;
  return run;
}

TEST(Batches, AnswerInOrderAndGoOnAfterAnError) {
  const auto run = run_of({R"({"prompt": "In the beginning God", "id": "a"})", "", "nonsense",
                           R"({"prompt": "The LORD is my", "max_tokens": 2})"},
                          up_to(5));
  ASSERT_EQ(run.rows.size(), 3u);
  EXPECT_EQ(run.rows[0]["text"], generate(example_model(), plain("In the beginning God"), up_to(5))->text);
  EXPECT_EQ(run.rows[0]["id"], "a");
  EXPECT_EQ(run.rows[0]["line"], 1);
  EXPECT_EQ(run.rows[1]["line"], 3);
  EXPECT_TRUE(run.rows[1]["error"].contains("rule"));
  EXPECT_EQ(run.rows[2]["line"], 4);
  EXPECT_EQ(run.rows[2]["generated_tokens"], 2);
  EXPECT_EQ(run.report.answered, 2u);
  EXPECT_EQ(run.report.failed, 1u);
  EXPECT_EQ(run.report.left, 0u);
  EXPECT_EQ(run.report.generated_tokens, 7u);
}

TEST(Batches, AreInterruptedBetweenAnswers) {
  std::atomic<bool> stop{false};
  GenerateOptions options = up_to(3);
  options.cancelled = &stop;
  const std::string line = R"({"prompt": "In the beginning God"})";
  const auto run = run_of({line, line, "", line}, options, nullptr, &stop);
  EXPECT_EQ(run.rows.size(), 1u);
  EXPECT_EQ(run.report.left, 2u);
}

TEST(Batches, GoOnFromAPromptCache) {
  const auto cache = PromptCache::of(example_model(), plain("In the beginning"), {});
  ASSERT_TRUE(cache);
  const std::string line = R"({"prompt": " God"})";
  const auto run = run_of({line, line}, up_to(4), &*cache);
  ASSERT_EQ(run.rows.size(), 2u);
  EXPECT_EQ(run.rows[0]["text"], run.rows[1]["text"]);
}

TEST(Batches, RefuseOptionsAtOnce) {
  const std::vector<std::string> lines{"{}"};
  EXPECT_FALSE(
      generate_batch(example_model(), lines, {}, up_to(0), nullptr, [](const BatchResult&) { return Status{}; }));
}

}  // namespace
}  // namespace pippin
