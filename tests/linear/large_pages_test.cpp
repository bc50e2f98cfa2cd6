#include "linear/large_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace pippin {
namespace {

constexpr size_t large_page = size_t{2} << 20;

TEST(LargePageMemory, IsZeroedWritableAndBeginsAtABorder) {
  auto memory = LargePageMemory::of(3 * large_page + 5);
  ASSERT_TRUE(memory);
  const auto bytes = memory->bytes();
  EXPECT_EQ(bytes.size(), 3 * large_page + 5);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % large_page, 0u);
  EXPECT_EQ(bytes.back(), std::byte{0});
  bytes.back() = std::byte{7};
  const LargePageMemory moved = *std::move(memory);
  EXPECT_EQ(moved.bytes().back(), std::byte{7});
}

TEST(LargePageMemory, TooMuchIsAnError) {
  const auto memory = LargePageMemory::of(size_t{1} << 60);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().tag, ErrorTag::io);
  EXPECT_FALSE(LargePageMemory::of(~size_t{0}));
}

// Whether the system has large pages or not, the values stay, and no more is moved than was asked for.
TEST(MoveToLargePages, KeepsEveryValue) {
  std::vector<std::byte> values(5 * large_page);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  const std::vector<std::byte> before = values;
  const std::span<const std::byte> all(values);
  const int64_t moved = move_to_large_pages({all.subspan(large_page, 100), all.first(1000), all.last(3 * large_page)});
  EXPECT_GE(moved, 0);
  EXPECT_LE(moved, static_cast<int64_t>(values.size()));
  EXPECT_EQ(values, before);
  EXPECT_EQ(move_to_large_pages({}), 0);
}

}  // namespace
}  // namespace pippin
