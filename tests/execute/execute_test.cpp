#include "execute/execute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "ghost/temporary_folder.h"
#include "tiny_plan.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<TinyTensor> two_matrices() {
  return {{"a", DType::BF16, {6, 64}, counting(DType::BF16, 384)},
          {"b", DType::F32, {4, 128}, counting(DType::F32, 512)},
          {"c", DType::U8, {5}, bytes_of<uint8_t>({1, 2, 3, 4, 5})}};
}

std::vector<TinyJob> some_jobs(const TinyCheckpoint& tiny) {
  const QuantFormat affine{QuantMode::affine, 4, 64};
  const QuantFormat mxfp8{QuantMode::mxfp8, 8, 32};
  return {{"plain", tiny.tensor(0)},
          {"affine", tiny.tensor(0), affine},
          {"turned", *transpose(tiny.tensor(1), {1, 0})},
          {"mxfp8", cast(tiny.tensor(1), DType::BF16), mxfp8},
          {"empty", *slice(tiny.tensor(2), 0, 2, 2)},
          {"bytes", tiny.tensor(2)}};
}

TEST(Execute, WritesEveryJobAtItsPlace) {
  const auto tensors = two_matrices();
  const TinyCheckpoint tiny(tensors);
  for (const Rounding rounding : {Rounding::metal, Rounding::cpu}) {
    for (const uint64_t budget : {uint64_t{1}, uint64_t{256} << 20}) {
      for (const int threads : {1, 4}) {
        const TemporaryFolder folder;
        Plan plan = tiny_plan(some_jobs(tiny), 2);
        plan.memory_budget = budget;
        plan.rounding = rounding;
        ExecuteOptions options;
        options.threads = threads;
        const auto report = execute(plan, tiny.checkpoint(), folder.path(), options);
        ASSERT_TRUE(report) << report.error().message();
        EXPECT_EQ(written_shards(plan, folder.path()), expected_shards(plan, tensors));
        EXPECT_EQ(report->bytes_written, [&] {
          uint64_t size = 0;
          for (const auto& output : plan.outputs) size += output.size;
          return size;
        }());
        EXPECT_EQ(report->jobs_resumed, 0u);
      }
    }
  }
}

// A budget of 1 byte is still 64 KB a thread; many blocks need larger tensors.
TEST(Execute, ManyBlocksOfOneTensor) {
  std::vector<double> noise;
  uint32_t state = 1;
  for (int i = 0; i < 1024 * 1024; i++)
    noise.push_back(static_cast<double>((state = state * 1664525 + 1013904223) >> 8) - 8e6);
  const std::vector<TinyTensor> tensors{{"a", DType::BF16, {1024, 1024}, numbers(DType::BF16, noise)}};
  const TinyCheckpoint tiny(tensors);
  const TemporaryFolder folder;
  Plan plan = tiny_plan({{"quantized", tiny.tensor(0), QuantFormat{QuantMode::affine, 6, 128}},
                         {"turned", *transpose(tiny.tensor(0), {1, 0}), QuantFormat{QuantMode::affine, 4, 32}},
                         {"added", *arithmetic(Arithmetic::Op::add, tiny.tensor(0), tiny.tensor(0))}});
  plan.memory_budget = 1;
  ExecuteOptions options;
  options.threads = 3;
  const auto report = execute(plan, tiny.checkpoint(), folder.path(), options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(written_shards(plan, folder.path()), expected_shards(plan, tensors));
}

TEST(Execute, ShowsProgressToTheEnd) {
  const TinyCheckpoint tiny(two_matrices());
  const TemporaryFolder folder;
  const Plan plan = tiny_plan(some_jobs(tiny));
  uint64_t last_read = 0;
  uint64_t last_written = 0;
  std::atomic<int> at_once{0};
  ExecuteOptions options;
  options.progress = [&](uint64_t read, uint64_t written) {
    EXPECT_EQ(++at_once, 1);
    EXPECT_GE(written, last_written);
    last_read = read;
    last_written = written;
    at_once--;
  };
  const auto report = execute(plan, tiny.checkpoint(), folder.path(), options);
  ASSERT_TRUE(report);
  EXPECT_EQ(last_read, report->bytes_read);
  EXPECT_EQ(last_written, report->bytes_written);
  EXPECT_GT(last_written, 0u);
}

TEST(Execute, TheFirstNonfiniteValueIsNamedWhicheverThreadMeetsIt) {
  std::vector<double> values(1 << 18, 1.0);
  values[100 * 512 + 7] = std::numeric_limits<double>::quiet_NaN();
  values[300 * 512 + 9] = std::numeric_limits<double>::infinity();
  const TinyCheckpoint tiny({{"model.w", DType::BF16, {512, 512}, numbers(DType::BF16, values)}});
  for (int round = 0; round < 10; round++) {
    const TemporaryFolder folder;
    Plan plan = tiny_plan({{"out.w", tiny.tensor(0), QuantFormat{}}});
    plan.memory_budget = 1;
    ExecuteOptions options;
    options.threads = 4;
    const auto report = execute(plan, tiny.checkpoint(), folder.path(), options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().tag, ErrorTag::nonfinite);
    EXPECT_EQ(report.error().value, R"("model.w"[100, 7] is nan)");
    EXPECT_THAT(report.error().details, ElementsAre("on the way to out.w"));
    plan.allow_nonfinite = true;
    const auto allowed = execute(plan, tiny.checkpoint(), folder.path(), options);
    ASSERT_TRUE(allowed);
    EXPECT_EQ(allowed->nonfinite_values, 2u);
  }
}

TEST(Execute, ACancelledRunIsInterrupted) {
  const TinyCheckpoint tiny(two_matrices());
  const TemporaryFolder folder;
  const std::atomic<bool> cancelled{true};
  ExecuteOptions options;
  options.cancelled = &cancelled;
  const auto report = execute(tiny_plan(some_jobs(tiny)), tiny.checkpoint(), folder.path(), options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().tag, ErrorTag::interrupted);
  EXPECT_THAT(report.error().way_out, HasSubstr("--resume"));
}

TEST(Execute, AThrowingCallbackIsAnError) {
  const TinyCheckpoint tiny(two_matrices());
  const TemporaryFolder folder;
  ExecuteOptions options;
  options.progress = [](uint64_t, uint64_t) { throw std::runtime_error("no terminal"); };
  const auto report = execute(tiny_plan(some_jobs(tiny)), tiny.checkpoint(), folder.path(), options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().value, "no terminal");
}

TEST(Execute, ASourceThatShrinksIsAnError) {
  const TinyCheckpoint tiny(two_matrices());
  std::filesystem::resize_file(tiny.file(), std::filesystem::file_size(tiny.file()) - 100);
  const TemporaryFolder folder;
  const auto report = execute(tiny_plan(some_jobs(tiny)), tiny.checkpoint(), folder.path(), {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().tag, ErrorTag::bad_file);
}

TEST(Execute, PlansThatDoNotFitAreRefused) {
  const TinyCheckpoint tiny(two_matrices());
  const Plan good = tiny_plan(some_jobs(tiny));
  struct Row {
    const char* value;
    void (*spoil)(Plan&);
  };
  const Row rows[] = {
      {"plain: 767 bytes of BF16, the job makes 768 of BF16", [](Plan& plan) { plan.outputs[0].size--; }},
      {"plain: 768 bytes of F16, the job makes 768 of BF16", [](Plan& plan) { plan.outputs[0].dtype = DType::F16; }},
      {"1 outputs for 3 parts", [](Plan& plan) { plan.jobs[1].outputs.resize(1); }},
      {"output 1000", [](Plan& plan) { plan.jobs[0].outputs[0] = 1000; }},
      {"bytes from 7 in shard 0", [](Plan& plan) { plan.outputs[0].offset = 7; }},
      {"bytes from 18446744073709551615 in shard 0", [](Plan& plan) { plan.outputs[0].offset = ~uint64_t{0}; }},
      {"in shard 9", [](Plan& plan) { plan.outputs[0].shard = 9; }},
      {"3 of 3",
       [](Plan& plan) {
         plan.jobs[0].value = from_source(3, DType::BF16, {6, 64});
       }},
      {"a: BF16[384] in the recipe, BF16[6, 64] in the file",
       [](Plan& plan) { plan.jobs[0].value = from_source(0, DType::BF16, {384}); }},
      {"U8[5] in groups of 64", [](Plan& plan) { plan.jobs[5].quantize = QuantFormat{}; }},
      {"[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 384]",
       [](Plan& plan) {
         plan.jobs[0].value = *reshape(plan.jobs[0].value, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 384});
       }},
  };
  for (const Row& row : rows) {
    Plan plan = good;
    row.spoil(plan);
    const TemporaryFolder folder;
    const auto report = execute(plan, tiny.checkpoint(), folder.path(), {});
    ASSERT_FALSE(report) << row.value;
    EXPECT_THAT(report.error().value, HasSubstr(row.value));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "nothing is written for a bad plan";
  }
}

}  // namespace
}  // namespace pippin
