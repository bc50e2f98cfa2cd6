// A file that arrives in pieces over several runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "ghost/temporary_folder.h"
#include "hub/partial_file.h"

namespace pippin {
namespace {

// sha256 of "0123456789".
const std::string ten_digits = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::optional<PartialFile> opened(const TemporaryFolder& folder, uint64_t size = 10, uint64_t piece = 4) {
  return *PartialFile::open(folder.path() / "part", size, piece);
}

std::string content(const TemporaryFolder& folder) {
  std::ifstream in(folder.path() / "part", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(PartialFile, PiecesInAnyOrderMakeTheFile) {
  const TemporaryFolder folder;
  auto partial = opened(folder);
  ASSERT_TRUE(partial);
  ASSERT_EQ(partial->piece_count(), 3U);
  EXPECT_TRUE(partial->write(8, bytes("89")));
  EXPECT_TRUE(partial->write(0, bytes("01")));
  EXPECT_EQ(partial->missing(0).begin, 2U);
  EXPECT_EQ(partial->missing(2).begin, partial->missing(2).end);
  EXPECT_TRUE(partial->write(2, bytes("234567"))) << "on into the next piece";
  EXPECT_TRUE(partial->is_whole());
  EXPECT_TRUE(*partial->check(ten_digits, nullptr));
  EXPECT_TRUE(partial->finish());
  EXPECT_EQ(content(folder), "0123456789");
}

TEST(PartialFile, TheNextRunGoesOn) {
  const TemporaryFolder folder;
  {
    auto partial = opened(folder);
    EXPECT_TRUE(partial->write(4, bytes("4567")));
    EXPECT_TRUE(partial->write(0, bytes("012")));
    EXPECT_TRUE(partial->note(0));
  }
  auto again = opened(folder);
  EXPECT_EQ(again->bytes_there(), 7U);
  EXPECT_EQ(again->missing(0).begin, 3U);
  EXPECT_TRUE(again->write(0, bytes("xxx3"))) << "what is there is passed over";
  EXPECT_TRUE(again->write(8, bytes("89")));
  EXPECT_TRUE(*again->check(ten_digits, nullptr));
}

TEST(PartialFile, OneThatWasCutRightBeforeItsRenameIsWhole) {
  const TemporaryFolder folder;
  folder.write("part", "0123456789");
  auto partial = opened(folder);
  EXPECT_TRUE(partial->is_whole());
  EXPECT_TRUE(*partial->check(ten_digits, nullptr));
}

TEST(PartialFile, WrongBytesAreForgotten) {
  const TemporaryFolder folder;
  auto partial = opened(folder);
  EXPECT_TRUE(partial->write(0, bytes("0123456780")));
  EXPECT_FALSE(*partial->check(ten_digits, nullptr));
  EXPECT_TRUE(partial->begin_anew());
  EXPECT_EQ(partial->bytes_there(), 0U);
  EXPECT_TRUE(partial->write(0, bytes("0123456789")));
  EXPECT_TRUE(*partial->check(ten_digits, nullptr));
}

TEST(PartialFile, WhatDoesNotFitIsBegunAnew) {
  const TemporaryFolder folder;
  {
    auto partial = opened(folder);
    EXPECT_TRUE(partial->write(0, bytes("0123")));
  }
  EXPECT_EQ(opened(folder)->bytes_there(), 4U);
  EXPECT_EQ(opened(folder, 10, 5)->bytes_there(), 0U) << "other pieces";
  {
    auto partial = opened(folder);
    EXPECT_TRUE(partial->write(0, bytes("0123")));
  }
  auto text = content(folder);
  text[10 + 40] = '\x7f';
  folder.write("part", text);
  EXPECT_EQ(opened(folder)->bytes_there(), 0U) << "a count beyond the piece";
  folder.write("part", "some other file");
  EXPECT_EQ(opened(folder)->bytes_there(), 0U);
}

TEST(PartialFile, OneOwnerAtATime) {
  const TemporaryFolder folder;
  auto partial = opened(folder);
  EXPECT_FALSE(opened(folder));
  partial.reset();
  EXPECT_TRUE(opened(folder));
}

TEST(PartialFile, BytesOutOfOrderAreRefused) {
  const TemporaryFolder folder;
  auto partial = opened(folder);
  EXPECT_FALSE(partial->write(2, bytes("2")));
  EXPECT_FALSE(partial->write(10, bytes("x")));
}

}  // namespace
}  // namespace pippin
