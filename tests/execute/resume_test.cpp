// Runs that are killed or stopped and then resumed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "execute/execute.h"
#include "execute/journal.h"
#include "ghost/temporary_folder.h"
#include "tiny_plan.h"

namespace pippin {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(Journal, CountsWholeLinesOfTheSamePlanAndBoot) {
  struct Row {
    const char* text;
    bool same_plan;
    std::vector<bool> jobs, shards;
    size_t valid_bytes;
  };
  const Row rows[] = {
      {"", false, {0, 0}, {0}, 0},
      {"pippin journal 1 abc\nboot x\njob 1\n", true, {0, 1}, {0}, 34},
      {"pippin journal 1 abc\nboot x\njob 1\nshard 0\njo", true, {0, 1}, {1}, 42},  // a torn line
      {"pippin journal 1 abc\nboot x\njob 1\njob 0", true, {0, 1}, {0}, 34},        // torn, though it looks whole
      {"pippin journal 1 abc\nboot y\njob 1\nshard 0\n", true, {0, 0}, {1}, 42},    // the machine was restarted
      {"pippin journal 1 abc\nboot y\njob 1\nboot x\njob 0\n", true, {1, 0}, {0}, 47},
      {"pippin journal 1 abc\nboot x\njob 2\njob 1\n", true, {0, 0}, {0}, 28},  // there is no job 2
      {"pippin journal 1 abc\nboot x\njob 1x\njob 1\n", true, {0, 0}, {0}, 28},
      {"pippin journal 1 abd\nboot x\njob 1\n", false, {0, 0}, {0}, 0},
      {"pippin journal 1 abc", false, {0, 0}, {0}, 0},
  };
  for (const Row& row : rows) {
    const auto content = read_journal(row.text, "abc", "x", 2, 1);
    EXPECT_EQ(content.same_plan, row.same_plan) << row.text;
    EXPECT_EQ(content.jobs, row.jobs) << row.text;
    EXPECT_EQ(content.shards, row.shards) << row.text;
    EXPECT_EQ(content.valid_bytes, row.valid_bytes) << row.text;
  }
  EXPECT_EQ(read_journal("pippin journal 1 abc\nboot \njob 1\n", "abc", "", 2, 1).jobs, (std::vector<bool>{0, 0}))
      << "a system that cannot tell its boots";
}

class Resume : public testing::Test {
 protected:
  // Eight jobs in four shards.
  Resume() : tensors_(eight_matrices()), tiny_(tensors_) {
    std::vector<TinyJob> jobs;
    for (uint32_t i = 0; i < 8; i++)
      jobs.push_back({"out" + std::to_string(i), tiny_.tensor(i),
                      i % 2 ? std::optional<QuantFormat>(QuantFormat{}) : std::nullopt});
    plan_ = tiny_plan(jobs, 2);
  }

  static std::vector<TinyTensor> eight_matrices() {
    std::vector<TinyTensor> tensors;
    for (int i = 0; i < 8; i++) {
      std::vector<double> values;
      for (int j = 0; j < 64 * 64; j++) values.push_back(i * 1000 + j % 97);
      tensors.push_back({"t" + std::to_string(i), DType::BF16, {64, 64}, numbers(DType::BF16, values)});
    }
    return tensors;
  }

  Result<ExecuteReport> run(bool resume) {
    ExecuteOptions options;
    options.resume = resume;
    options.threads = 2;
    return execute(plan_, tiny_.checkpoint(), folder_.path(), options);
  }

  // In a child process that is killed at the progress call with this number.
  void run_and_kill(int call) {
    const pid_t child = ::fork();
    if (child == 0) {
      ExecuteOptions options;
      options.threads = 1;
      options.resume = true;
      int calls = 0;
      options.progress = [&](uint64_t, uint64_t) {
        if (++calls == call) ::kill(::getpid(), SIGKILL);
        ::usleep(60'000);  // so that every unit gets its call
      };
      static_cast<void>(execute(plan_, tiny_.checkpoint(), folder_.path(), options));
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }

  void expect_complete() { EXPECT_EQ(written_shards(plan_, folder_.path()), expected_shards(plan_, tensors_)); }
  [[nodiscard]] std::filesystem::path journal() const { return folder_.path() / journal_file; }
  [[nodiscard]] std::string journal_text() const {
    std::ifstream file(journal());
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void overwrite(const std::string& shard, uint64_t offset, const std::string& text) {
    std::fstream file(folder_.path() / shard, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file << text;
  }

  std::vector<TinyTensor> tensors_;
  TinyCheckpoint tiny_;
  Plan plan_;
  TemporaryFolder folder_;
};

TEST_F(Resume, AfterAKillOnlyUnfinishedJobsAreDone) {
  run_and_kill(4);
  const auto report = run(true);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->jobs_resumed, 4u);
  EXPECT_THAT(report->warnings, IsEmpty());
  expect_complete();
}

TEST_F(Resume, AfterSeveralKills) {
  run_and_kill(2);
  run_and_kill(2);
  run_and_kill(3);
  const auto report = run(true);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->jobs_resumed, 7u);
  expect_complete();
}

TEST_F(Resume, FinishedJobsAreNotTouched) {
  ASSERT_TRUE(run(false));
  overwrite("shard1", plan_.outputs[4].offset, "mark");
  const auto report = run(true);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->jobs_resumed, 8u);
  EXPECT_EQ(report->bytes_written, 0u);
  EXPECT_EQ(written_shards(plan_, folder_.path())[1].substr(plan_.outputs[4].offset, 4), "mark");
}

TEST_F(Resume, ShardsThatWereRemovedOrCutAreMadeAgain) {
  ASSERT_TRUE(run(false));
  std::filesystem::remove(folder_.path() / "shard0");
  std::filesystem::resize_file(folder_.path() / "shard2", 100);
  overwrite("shard3", 0, "Xeader");
  const auto report = run(true);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->jobs_resumed, 2u);
  expect_complete();
}

TEST_F(Resume, WithoutResumeAllIsDoneAnew) {
  ASSERT_TRUE(run(false));
  overwrite("shard1", plan_.outputs[4].offset, "mark");
  ASSERT_TRUE(run(false));
  expect_complete();
}

TEST_F(Resume, AJournalOfAnotherPlanStartsAfresh) {
  ASSERT_TRUE(run(false));
  plan_.rounding = Rounding::cpu;
  const auto report = run(true);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->jobs_resumed, 0u);
  ASSERT_EQ(report->warnings.size(), 1u);
  EXPECT_THAT(report->warnings[0], HasSubstr("nothing to resume"));
  expect_complete();
}

TEST_F(Resume, ATornLineIsCutOff) {
  ASSERT_TRUE(run(false));
  std::string text = journal_text();
  text.resize(text.find("job") + 6);  // one job
  std::ofstream(journal()) << text << "shar";
  const auto report = run(true);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->jobs_resumed, 1u);
  EXPECT_THAT(journal_text(), HasSubstr(text + "boot "));
  expect_complete();
}

TEST_F(Resume, AChangedSourceStartsAfresh) {
  ASSERT_TRUE(run(false));
  std::filesystem::last_write_time(tiny_.file(), std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  const auto report = run(true);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->jobs_resumed, 0u);
}

TEST_F(Resume, WhatIsNotTrustedIsDoneAgain) {
  ASSERT_TRUE(run(false));
  overwrite("shard1", plan_.outputs[plan_.jobs[2].outputs[0]].offset, "mark");
  ExecuteOptions options;
  options.resume = true;
  options.trusted = [](size_t job) { return job != 2; };
  const auto report = execute(plan_, tiny_.checkpoint(), folder_.path(), options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->jobs_resumed, 7u);
  expect_complete();
}

TEST_F(Resume, WhatIsNotTrustedIsNotBelievedLater) {
  ASSERT_TRUE(run(false));
  const std::atomic<bool> cancelled{true};
  ExecuteOptions options;
  options.resume = true;
  options.cancelled = &cancelled;
  options.trusted = [](size_t job) { return job != 2 && job != 5; };
  ASSERT_FALSE(execute(plan_, tiny_.checkpoint(), folder_.path(), options));
  EXPECT_EQ(run(true)->jobs_resumed, 6u);
  expect_complete();
}

TEST_F(Resume, ACancelledRunGoesOn) {
  std::atomic<bool> cancelled{false};
  ExecuteOptions options;
  options.threads = 1;
  options.cancelled = &cancelled;
  options.progress = [&](uint64_t, uint64_t) { cancelled = true; };
  const auto stopped = execute(plan_, tiny_.checkpoint(), folder_.path(), options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().tag, ErrorTag::interrupted);
  const auto report = run(true);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->jobs_resumed, 1u);
  expect_complete();
}

TEST_F(Resume, ProgressCountsWhatIsThereAlready) {
  run_and_kill(4);
  uint64_t first = 0;
  uint64_t last = 0;
  ExecuteOptions options;
  options.resume = true;
  options.progress = [&](uint64_t, uint64_t written) {
    if (first == 0) first = written;
    last = written;
  };
  ASSERT_TRUE(execute(plan_, tiny_.checkpoint(), folder_.path(), options));
  uint64_t all = 0;
  for (const auto& output : plan_.outputs) all += output.size;
  EXPECT_GE(first, all / 2);
  EXPECT_EQ(last, all);
}

}  // namespace
}  // namespace pippin
