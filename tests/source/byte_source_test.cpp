// Files that are read in pieces, by many threads, while they change, and many at a time.
#include "source/byte_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "ghost/temporary_folder.h"
#include "source/descriptor_cache.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string text_of(const ByteSource& file, uint64_t offset, size_t size) {
  std::string text(size, '?');
  const Status status = file.read(offset, std::as_writable_bytes(std::span(text)));
  return status ? text : name_of(status.error().tag).data() + (": " + status.error().message());
}

TEST(ByteSource, ReadsAnywhere) {
  const TemporaryFolder folder;
  const auto file = open_file(folder.write("a", "0123456789").string());
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->size(), 10U);
  EXPECT_EQ((*file)->name(), (folder.path() / "a").string());
  EXPECT_EQ(text_of(**file, 0, 10), "0123456789");
  EXPECT_EQ(text_of(**file, 7, 3), "789");
  EXPECT_EQ(text_of(**file, 10, 0), "");
}

TEST(ByteSource, ReadBeyondTheEndIsAnError) {
  const TemporaryFolder folder;
  const auto file = open_file(folder.write("a", "0123456789").string());
  ASSERT_TRUE(file);
  EXPECT_THAT(text_of(**file, 8, 3), HasSubstr("3 bytes from 8 of 10"));
  EXPECT_THAT(text_of(**file, UINT64_MAX, 2), HasSubstr("2 bytes from 18446744073709551615 of 10"));
}

TEST(ByteSource, AdviceIsHarmless) {
  const TemporaryFolder folder;
  const auto file = open_file(folder.write("a", "0123456789").string());
  ASSERT_TRUE(file);
  for (const uint64_t offset : {uint64_t{0}, uint64_t{9}, uint64_t{10}, UINT64_MAX}) {
    (*file)->will_need(offset, 1);
    (*file)->done_with(offset, UINT64_MAX);
  }
  EXPECT_EQ(text_of(**file, 0, 10), "0123456789");
}

TEST(ByteSource, FileThatShrinksWhileOpenIsAnError) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "0123456789");
  const auto file = open_file(path.string());
  ASSERT_TRUE(file);
  EXPECT_EQ(text_of(**file, 0, 10), "0123456789");
  fs::resize_file(path, 6);
  EXPECT_EQ(text_of(**file, 0, 6), "012345");
  EXPECT_THAT(text_of(**file, 4, 4), HasSubstr("bad_file: " + path.string() + " had 10 bytes and now ends at 6"));
}

TEST(ByteSource, FileThatShrinksBeforeTheFirstReadIsAnError) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "0123456789");
  const auto file = open_file(path.string());
  ASSERT_TRUE(file);
  fs::resize_file(path, 6);
  EXPECT_THAT(text_of(**file, 0, 2), HasSubstr("had 10 bytes and is now another file of 6 bytes"));
}

TEST(ByteSource, FileReplacedByAnotherIsAnError) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "0123456789");
  const auto file = open_file(path.string());
  ASSERT_TRUE(file);
  fs::rename(folder.write("b", "abcdefghij"), path);
  EXPECT_THAT(text_of(**file, 0, 2), HasSubstr("bad_file"));
}

TEST(ByteSource, FileRemovedBeforeTheFirstReadIsAnError) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "0123456789");
  const auto file = open_file(path.string());
  ASSERT_TRUE(file);
  fs::remove(path);
  EXPECT_THAT(text_of(**file, 0, 2), HasSubstr("not_found: " + path.string()));
}

TEST(ByteSource, WhatIsNoFileIsAnError) {
  const TemporaryFolder folder;
  fs::create_symlink("nowhere", folder.path() / "broken");
  fs::create_symlink("loop", folder.path() / "loop");
  ASSERT_EQ(mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  struct Row {
    const char* name;
    const char* tag;
    const char* message;
  };
  for (const Row& row : {Row{"missing", "not_found", "No such file"}, Row{".", "bad_file", "is a folder"},
                         Row{"broken", "not_found", "links to nowhere, which is missing"}, Row{"loop", "io", "loop"},
                         Row{"pipe", "bad_file", "is a device, pipe or socket"}}) {
    const auto file = open_file((folder.path() / row.name).string());
    ASSERT_FALSE(file) << row.name;
    EXPECT_EQ(name_of(file.error().tag), row.tag) << row.name;
    EXPECT_THAT(file.error().message(), HasSubstr(row.message)) << row.name;
  }
}

TEST(ByteSource, FollowsLinks) {
  const TemporaryFolder folder;
  folder.write("blobs/0a1b", "0123456789");
  fs::create_symlink("blobs/0a1b", folder.path() / "model.safetensors");
  const auto file = open_file((folder.path() / "model.safetensors").string());
  ASSERT_TRUE(file);
  EXPECT_EQ(text_of(**file, 3, 2), "34");
}

TEST(ByteSource, KeepsAtMost64FilesOpen) {
  const TemporaryFolder folder;
  std::vector<std::unique_ptr<ByteSource>> files;
  for (int i = 0; i < 300; ++i) {
    auto file = open_file(folder.write(std::to_string(i), std::to_string(1000 + i)).string());
    ASSERT_TRUE(file);
    files.push_back(std::move(*file));
  }
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 300; ++i) EXPECT_EQ(text_of(*files[i], 0, 4), std::to_string(1000 + i));
  }
  EXPECT_EQ(DescriptorCache::of_process().size(), 64U);
  files.clear();
  EXPECT_EQ(DescriptorCache::of_process().size(), 0U);
}

// The process may have few descriptors left: those of the cache are given up before a read fails.
TEST(ByteSource, GivesUpItsDescriptorsWhereThereAreNoMore) {
  const TemporaryFolder folder;
  std::vector<std::unique_ptr<ByteSource>> files;
  for (int i = 0; i < 60; ++i) files.push_back(*open_file(folder.write(std::to_string(i), "x").string()));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{40, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  for (const auto& file : files) EXPECT_EQ(text_of(*file, 0, 1), "x");
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(ByteSource, ThreadsReadManyFilesAtOnce) {
  const TemporaryFolder folder;
  std::vector<std::unique_ptr<ByteSource>> files;
  for (int i = 0; i < 100; ++i)
    files.push_back(*open_file(folder.write(std::to_string(i), std::to_string(1000 + i)).string()));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      std::minstd_rand random(seed + 1);
      for (int i = 0; i < 2000; ++i) {
        const size_t number = random() % files.size();
        files[number]->will_need(0, 4);
        if (text_of(*files[number], 0, 4) != std::to_string(1000 + number)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace pippin
