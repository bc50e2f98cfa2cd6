// Folders that cannot be written and disks that are full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "execute/execute.h"
#include "execute/shard_files.h"
#include "ghost/temporary_folder.h"
#include "tiny_plan.h"

namespace pippin {
namespace {

using testing::HasSubstr;

std::vector<TinyTensor> one_megabyte() {
  return {{"a", DType::U8, {1 << 20}, Bytes(1 << 20)}};
}

// Runs in a child process, whose limits do not concern the tests after this one; gives "tag: value".
std::string message_in_child(const std::function<std::string()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string text = work();
    static_cast<void>(!::write(ends[1], text.data(), text.size()));
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text(4096, '\0');
  const ssize_t size = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return text;
}

std::string outcome(const TinyCheckpoint& tiny, const std::filesystem::path& folder) {
  const auto report = execute(tiny_plan({{"a", tiny.tensor(0)}}), tiny.checkpoint(), folder, {});
  return report ? "done" : std::string(name_of(report.error().tag)) + ": " + report.error().value;
}

TEST(FullDisk, AFileThatMayNotGrowIsFoundBeforeTheWork) {
  const TinyCheckpoint tiny(one_megabyte());
  const TemporaryFolder folder;
  const std::string text = message_in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 16, 1 << 16};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    return outcome(tiny, folder.path());
  });
  EXPECT_THAT(text, HasSubstr("no_space: "));
  EXPECT_THAT(text, HasSubstr("1048584 bytes needed"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "shard0")) << "an unusable file does not stay";
}

TEST(FullDisk, ASmallFileSystemIsFoundBeforeTheWork) {
  const TemporaryFolder folder;
  if (::geteuid() != 0 || ::mount("none", folder.path().c_str(), "tmpfs", 0, "size=512k") != 0)
    GTEST_SKIP() << "a file system can be mounted by root only";
  const TinyCheckpoint tiny(one_megabyte());
  const std::string text = outcome(tiny, folder.path());
  ::umount(folder.path().c_str());
  EXPECT_THAT(text, HasSubstr("no_space: "));
  EXPECT_THAT(text, HasSubstr("1048584 bytes needed, 520192 free"));
}

TEST(FullDisk, ADiskThatFillsUpMeanwhile) {
  const TemporaryFolder folder;
  const std::string text = message_in_child([&] {
    const std::vector<Shard> shards{{"shard0", "header: ", 1 << 20}};
    ShardFiles files(shards, folder.path());
    if (!files.create(false)) return std::string("not created");
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 16, 1 << 16};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Bytes bytes(1 << 17);
    const auto status = files.write(0, 8, bytes);
    return status ? "done" : std::string(name_of(status.error().tag)) + ": " + status.error().way_out;
  });
  EXPECT_THAT(text, HasSubstr("no_space: "));
  EXPECT_THAT(text, HasSubstr("--resume"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "shard0")) << "what is written stays";
}

TEST(FullDisk, AFolderThatCannotBeWritten) {
  const TinyCheckpoint tiny(one_megabyte());
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const std::string text = message_in_child([&] {
    // Root may write anywhere: the child becomes nobody.
    if (::geteuid() == 0 && ::setuid(65534) != 0) return std::string("destination: cannot give up root");
    return outcome(tiny, folder.path());
  });
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
  EXPECT_THAT(text, HasSubstr("destination: "));
}

TEST(FullDisk, AFolderThatIsMissing) {
  const TinyCheckpoint tiny(one_megabyte());
  const TemporaryFolder folder;
  EXPECT_THAT(outcome(tiny, folder.path() / "missing"), HasSubstr("io: "));
}

}  // namespace
}  // namespace pippin
