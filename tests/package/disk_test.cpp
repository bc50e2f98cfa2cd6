#include "package/disk.h"

#include <gmock/gmock.h>

#include <cerrno>

#include "package/temporary_folder.h"

using namespace pippin;
using testing::HasSubstr;
namespace fs = std::filesystem;

TEST(Disk, WritesAndReplaces) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file(folder.path() / "a", "a long text"));
  ASSERT_TRUE(write_file(folder.path() / "a", std::string_view("b\0c", 3)));
  EXPECT_EQ(folder.read("a"), std::string("b\0c", 3));
}

TEST(Disk, FullDiskHasItsOwnTag) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  const auto status = write_file("/dev/full", "x");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().tag, ErrorTag::no_space);
  EXPECT_THAT(status.error().value, HasSubstr("cannot write /dev/full"));
}

TEST(Disk, ErrorsOfTheSystem) {
  EXPECT_EQ(disk_error(ENOSPC, "write", "p").tag, ErrorTag::no_space);
  EXPECT_EQ(disk_error(EDQUOT, "write", "p").tag, ErrorTag::no_space);
  EXPECT_EQ(disk_error(EACCES, "write", "p").tag, ErrorTag::destination);
  EXPECT_EQ(disk_error(EROFS, "write", "p").tag, ErrorTag::destination);
  EXPECT_EQ(disk_error(EIO, "write", "p").tag, ErrorTag::io);
}

TEST(Disk, CopiesOnlyRegularFiles) {
  const TemporaryFolder folder;
  EXPECT_EQ(copy_regular_file(folder.path() / "gone", folder.path() / "to").error().tag, ErrorTag::not_found);
  EXPECT_EQ(copy_regular_file(folder.path(), folder.path() / "to").error().tag, ErrorTag::bad_file);
  EXPECT_EQ(copy_regular_file("/dev/null", folder.path() / "to").error().tag, ErrorTag::bad_file);
}

TEST(Disk, FlushesATree) {
  const TemporaryFolder folder;
  folder.write("a/b");
  fs::create_symlink("nowhere", folder.path() / "link");
  EXPECT_TRUE(flush_tree_to_disk(folder.path()));
  EXPECT_FALSE(flush_tree_to_disk(folder.path() / "gone"));
}
