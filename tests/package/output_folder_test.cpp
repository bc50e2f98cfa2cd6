#include "package/output_folder.h"

#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "package/tiny_model.h"

using namespace pippin;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

const OutputFolderOptions overwriting{true, false, true, {}, {}};
const OutputFolderOptions resuming{false, true, true, {}, {}};

// A place with a source to convert.
class OutputFolderTest : public testing::Test {
 protected:
  OutputFolderTest() { root.write("source/model.safetensors"); }

  Result<OutputFolder> prepare(const fs::path& destination, OutputFolderOptions options = {}) const {
    return OutputFolder::prepare(root.path() / destination, root.path() / "source", std::move(options));
  }

  std::string problem(const fs::path& destination, OutputFolderOptions options = {}) const {
    const auto folder = prepare(destination, std::move(options));
    if (folder) return "none";
    EXPECT_EQ(folder.error().tag, ErrorTag::destination) << folder.error().message();
    return folder.error().value;
  }

  // Names at the top, without the source.
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(root.path())) found.insert(entry.path().filename().string());
    found.erase("source");
    return found;
  }

  TemporaryFolder root;
};

}  // namespace

TEST_F(OutputFolderTest, NewDestinationAppearsOnlyWhenCommitted) {
  auto folder = prepare("a/b/out");
  ASSERT_TRUE(folder) << folder.error().message();
  EXPECT_EQ(folder->path().filename(), ".out.pippin-partial");
  write_tiny_model(root, "a/b/.out.pippin-partial", "new");
  root.write("a/b/.out.pippin-partial/.pippin-journal");
  EXPECT_FALSE(fs::exists(root.path() / "a/b/out"));

  const auto warnings = folder->commit();
  ASSERT_TRUE(warnings) << warnings.error().message();
  EXPECT_THAT(*warnings, IsEmpty());
  EXPECT_EQ(tree_of(root.path() / "a"),
            (std::set<std::string>{"b/out/README.md", "b/out/config.json", "b/out/model.safetensors",
                                   "b/out/model.safetensors.index.json", "b/out/tokenizer.json"}));
}

TEST_F(OutputFolderTest, ExistingEmptyFolderIsFine) {
  fs::create_directory(root.path() / "out");
  auto folder = prepare("out/");
  ASSERT_TRUE(folder) << folder.error().message();
  write_tiny_model(root, ".out.pippin-partial", "new");
  ASSERT_TRUE(folder->commit());
  EXPECT_EQ(root.read("out/config.json"), "new");
  EXPECT_EQ(names(), std::set<std::string>{"out"});
}

TEST_F(OutputFolderTest, DestinationThatIsThere) {
  root.write("file");
  root.write("full/x");
  fs::create_symlink("nowhere", root.path() / "link");
  EXPECT_THAT(problem("file"), HasSubstr("no folder"));
  EXPECT_THAT(problem("full"), HasSubstr("exists"));
  EXPECT_THAT(problem("full", overwriting), HasSubstr("other entry"));
  EXPECT_THAT(problem("link"), HasSubstr("link to nothing"));
  EXPECT_THAT(problem("link/"), HasSubstr("link to nothing"));
  EXPECT_THAT(problem("file/out"), HasSubstr("file"));
  EXPECT_EQ(names(), (std::set<std::string>{"file", "full", "link"}));
}

TEST_F(OutputFolderTest, DestinationAndSourceOverlap) {
  fs::create_directory_symlink("source", root.path() / "alias");
  fs::create_directory_symlink("source", root.path() / ".x.pippin-partial");
  EXPECT_THAT(problem("source"), HasSubstr("is the source"));
  EXPECT_THAT(problem("alias"), HasSubstr("is the source"));
  EXPECT_THAT(problem("source/out"), HasSubstr("lies inside the source"));
  EXPECT_THAT(problem("alias/a/b"), HasSubstr("lies inside the source"));
  EXPECT_THAT(problem("source/../source/out"), HasSubstr("lies inside the source"));
  EXPECT_THAT(problem("", overwriting), HasSubstr("holds the source"));
  EXPECT_THAT(problem("x"), HasSubstr("a folder that holds the source"));
  EXPECT_EQ(problem("source-2"), "none");
}

TEST_F(OutputFolderTest, SourceOfLinksIntoTheDestination) {
  write_tiny_model(root, "cache", "only copy");
  fs::create_symlink("../cache/model.safetensors", root.path() / "source/linked.safetensors");
  EXPECT_THAT(problem("cache", overwriting), HasSubstr("what the source links to"));
}

TEST_F(OutputFolderTest, PlacesThatCannotBe) {
  EXPECT_THAT(problem(std::string(250, 'n')), HasSubstr("File name too long"));
  EXPECT_EQ(OutputFolder::prepare("", root.path(), {}).error().tag, ErrorTag::destination);
  EXPECT_EQ(OutputFolder::prepare("/", root.path() / "source", {}).error().tag, ErrorTag::destination);
  EXPECT_EQ(OutputFolder::prepare(root.path() / "out", root.path() / "gone", {}).error().tag, ErrorTag::not_found);
}

TEST_F(OutputFolderTest, NotWritable) {
  fs::create_directory(root.path() / "closed");
  fs::permissions(root.path(), fs::perms(0755));
  fs::permissions(root.path() / "closed", fs::perms(0555));
  const bool is_root = geteuid() == 0;
  constexpr uid_t nobody = 65534;
  if (is_root && seteuid(nobody) != 0) GTEST_SKIP() << "root may write everywhere";
  EXPECT_THAT(problem("closed/out"), HasSubstr("Permission denied"));
  ASSERT_EQ(is_root ? seteuid(0) : 0, 0);
}

TEST_F(OutputFolderTest, MountPoint) {
  if (!fs::is_directory("/proc/self")) GTEST_SKIP();
  const auto folder = OutputFolder::prepare("/proc", root.path() / "source", overwriting);
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().value, HasSubstr("mount point"));
}

TEST_F(OutputFolderTest, OverwriteKeepsTheOldOneUntilTheNewIsComplete) {
  write_tiny_model(root, "out", "old");
  auto folder = prepare("out", overwriting);
  ASSERT_TRUE(folder) << folder.error().message();
  root.write(".out.pippin-partial/config.json", "new");
  EXPECT_EQ(root.read("out/config.json"), "old");
  ASSERT_TRUE(folder->commit());
  EXPECT_EQ(names(), std::set<std::string>{"out"});
  EXPECT_EQ(tree_of(root.path() / "out"), std::set<std::string>{"config.json"});
  EXPECT_EQ(root.read("out/config.json"), "new");
}

TEST_F(OutputFolderTest, OverwriteWithoutAnOldOne) {
  auto folder = prepare("out", overwriting);
  root.write(".out.pippin-partial/config.json", "new");
  ASSERT_TRUE(folder->commit());
  EXPECT_EQ(root.read("out/config.json"), "new");
}

TEST_F(OutputFolderTest, WhatComesToTheDestinationMeanwhileStays) {
  auto folder = prepare("out");
  root.write("out/thesis.docx");
  EXPECT_EQ(folder->commit().error().tag, ErrorTag::destination);
  write_tiny_model(root, "model", "old");
  auto replacing = prepare("model", overwriting);
  root.write("model/thesis.docx");
  EXPECT_EQ(replacing->commit().error().tag, ErrorTag::destination);
  EXPECT_EQ(root.read("model/config.json"), "old");
}

TEST_F(OutputFolderTest, TwoRunsOnOneDestination) {
  auto first = prepare("out");
  ASSERT_TRUE(first);
  EXPECT_THAT(problem("out"), HasSubstr("in use by another run"));
  EXPECT_THAT(problem("out", resuming), HasSubstr("in use by another run"));
  EXPECT_EQ(problem("other"), "none");
  ASSERT_TRUE(first->discard());
  EXPECT_EQ(problem("out"), "none");
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(OutputFolderTest, UnfinishedWorkStaysForResume) {
  {
    auto folder = prepare("out");
    ASSERT_TRUE(folder);
    root.write(".out.pippin-partial/.pippin-journal", "done");
  }
  {
    auto folder = prepare("out", resuming);
    ASSERT_TRUE(folder) << folder.error().message();
    EXPECT_THAT(folder->warnings(), IsEmpty());
    EXPECT_EQ(root.read(".out.pippin-partial/.pippin-journal"), "done");
  }
  {
    auto folder = prepare("out");
    ASSERT_TRUE(folder) << folder.error().message();
    EXPECT_THAT(folder->warnings(), ElementsAre(HasSubstr("--resume")));
    EXPECT_THAT(tree_of(folder->path()), IsEmpty());
  }
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(OutputFolderTest, PartialFolderOfSomebodyElseStays) {
  root.write(".out.pippin-partial/thesis.docx");
  EXPECT_THAT(problem("out"), HasSubstr("holds other files"));
  EXPECT_THAT(problem("out", resuming), HasSubstr("holds other files"));
  EXPECT_EQ(root.read(".out.pippin-partial/thesis.docx"), "x");
}

TEST_F(OutputFolderTest, ResumeWithoutAJournalStartsAfresh) {
  write_tiny_model(root, ".out.pippin-partial", "left by a killed swap");
  const auto folder = prepare("out", resuming);
  ASSERT_TRUE(folder) << folder.error().message();
  EXPECT_THAT(tree_of(folder->path()), IsEmpty());
}

TEST_F(OutputFolderTest, OldOutputOfAKilledSwapComesBackInAnEmptyPlaceToo) {
  write_tiny_model(root, ".out.pippin-old", "old");
  fs::create_directory(root.path() / "out");
  EXPECT_EQ(problem("out", overwriting), "none");
  EXPECT_EQ(root.read("out/config.json"), "old");
  EXPECT_EQ(names(), std::set<std::string>{"out"});
}

TEST_F(OutputFolderTest, FreeSpace) {
  const auto folder = prepare("out");
  ASSERT_TRUE(folder);
  const auto available = fs::space(root.path()).available;
  EXPECT_TRUE(folder->check_space(0));
  EXPECT_TRUE(folder->check_space(available / 2));
  EXPECT_EQ(folder->check_space(uint64_t{1} << 62).error().tag, ErrorTag::no_space);
}

TEST_F(OutputFolderTest, FailureInTheSwapLeavesAllAsBefore) {
  for (const auto step : {SwapStep::exchange, SwapStep::move_old_aside, SwapStep::move_fresh_in}) {
    SCOPED_TRACE(static_cast<int>(step));
    write_tiny_model(root, "out", "old");
    auto options = overwriting;
    options.swap.exchange = step == SwapStep::exchange;
    options.swap.before = [step](SwapStep now) {
      return now == step ? Status(fail(ErrorTag::io, "", "injected")) : Status();
    };
    {
      auto folder = prepare("out", options);
      ASSERT_TRUE(folder) << folder.error().message();
      root.write(".out.pippin-partial/.pippin-journal");
      root.write(".out.pippin-partial/config.json", "new");
      EXPECT_EQ(folder->commit().error().value, "injected");
    }
    EXPECT_EQ(root.read("out/config.json"), "old");
    EXPECT_EQ(tree_of(root.path() / "out").size(), 5u);
    EXPECT_EQ(root.read(".out.pippin-partial/config.json"), "new");
    EXPECT_EQ(names(), (std::set<std::string>{"out", ".out.pippin-partial"}));
  }
}

TEST_F(OutputFolderTest, OldOutputThatCannotBeRemovedIsAWarning) {
  write_tiny_model(root, "out", "old");
  auto options = overwriting;
  options.swap.before = [](SwapStep now) {
    return now == SwapStep::remove_waste ? Status(fail(ErrorTag::io, "", "injected")) : Status();
  };
  auto folder = prepare("out", options);
  root.write(".out.pippin-partial/config.json", "new");
  EXPECT_THAT(*folder->commit(), ElementsAre(HasSubstr("injected")));
  EXPECT_EQ(root.read("out/config.json"), "new");
}

// A process that dies before each step of the swap. What the destination is then, and after the next run has begun.
struct Crash {
  SwapStep step;
  bool exchange;
  const char* after_crash;
};

class CrashTest : public OutputFolderTest, public testing::WithParamInterface<Crash> {};

TEST_P(CrashTest, OldOrNewIsThereWhole) {
  write_tiny_model(root, "out", "old");
  auto options = overwriting;
  options.swap.exchange = GetParam().exchange;
  options.swap.before = [](SwapStep now) {
    if (now == GetParam().step) _exit(9);
    return Status();
  };
  const pid_t child = fork();
  if (child == 0) {
    auto folder = prepare("out", options);
    write_tiny_model(root, ".out.pippin-partial", "new");
    root.write(".out.pippin-partial/.pippin-journal");
    _exit(folder->commit() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 9);
  EXPECT_EQ(root.read("out/config.json"), GetParam().after_crash);

  {
    auto next = prepare("out", overwriting);
    ASSERT_TRUE(next) << next.error().message();
    const std::string now = root.read("out/config.json");
    EXPECT_EQ(now, std::string(GetParam().after_crash) == "new" ? "new" : "old");
    for (const char* name : {"README.md", "tokenizer.json"}) EXPECT_EQ(root.read(fs::path("out") / name), now);
    EXPECT_EQ(root.read("out/model.safetensors"), tiny_weights("mlx"));
    write_tiny_model(root, ".out.pippin-partial", "newer");
    ASSERT_TRUE(next->commit());
  }
  EXPECT_EQ(root.read("out/config.json"), "newer");
  EXPECT_EQ(names(), std::set<std::string>{"out"});
}

INSTANTIATE_TEST_SUITE_P(EveryStep, CrashTest,
                         testing::Values(Crash{SwapStep::exchange, true, "old"},         //
                                         Crash{SwapStep::retire_old, true, "new"},       //
                                         Crash{SwapStep::remove_waste, true, "new"},     //
                                         Crash{SwapStep::move_old_aside, false, "old"},  //
                                         Crash{SwapStep::move_fresh_in, false, ""},      // the next run brings it back
                                         Crash{SwapStep::retire_old, false, "new"},      //
                                         Crash{SwapStep::remove_waste, false, "new"}));
