#include "execute/strided_copy.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace pippin {
namespace {

// Transposes 0, 1, 2 ... and tells the first wrong place, or -1.
template <typename T>
int64_t first_wrong(int64_t planes, int64_t rows, int64_t columns) {
  std::vector<T> from(static_cast<size_t>(planes * rows * columns));
  std::iota(from.begin(), from.end(), T{0});
  std::vector<T> to(from.size());
  StridedCopy copy;
  copy.element = sizeof(T);
  copy.add_axis(planes, rows * columns, rows * columns);
  copy.add_axis(columns, 1, rows);
  copy.add_axis(rows, columns, 1);
  copy_strided(copy, reinterpret_cast<const std::byte*>(from.data()), reinterpret_cast<std::byte*>(to.data()));
  for (int64_t i = 0; i < planes * rows * columns; i++) {
    const int64_t column = i / rows % columns;
    const int64_t from_place = i / rows / columns * rows * columns + i % rows * columns + column;
    if (to[static_cast<size_t>(i)] != from[static_cast<size_t>(from_place)]) return i;
  }
  return -1;
}

TEST(StridedCopy, TransposesEverySizeAroundItsBlocks) {
  for (const int64_t rows : {1, 2, 15, 16, 17, 33, 64, 65, 130}) {
    for (const int64_t columns : {1, 3, 16, 31, 32, 64, 67, 128}) {
      EXPECT_EQ(first_wrong<uint8_t>(2, rows, columns), -1) << rows << " x " << columns;
      EXPECT_EQ(first_wrong<uint16_t>(2, rows, columns), -1) << rows << " x " << columns;
      EXPECT_EQ(first_wrong<uint32_t>(2, rows, columns), -1) << rows << " x " << columns;
      EXPECT_EQ(first_wrong<uint64_t>(2, rows, columns), -1) << rows << " x " << columns;
    }
  }
}

std::vector<uint16_t> copied(const StridedCopy& copy, std::vector<uint16_t> from, size_t size) {
  std::vector<uint16_t> to(size, 99);
  copy_strided(copy, reinterpret_cast<const std::byte*>(from.data()), reinterpret_cast<std::byte*>(to.data()));
  return to;
}

TEST(StridedCopy, GathersAndScatters) {
  StridedCopy every_second;
  every_second.element = 2;
  every_second.add_axis(3, 2, 1);
  EXPECT_EQ(copied(every_second, {0, 1, 2, 3, 4, 5}, 3), (std::vector<uint16_t>{0, 2, 4}));

  StridedCopy columns;  // two columns into rows of three
  columns.element = 2;
  columns.add_axis(2, 2, 3);
  columns.add_axis(2, 1, 1);
  EXPECT_EQ(copied(columns, {0, 1, 2, 3}, 6), (std::vector<uint16_t>{0, 1, 99, 2, 3, 99}));

  StridedCopy nothing_to_move;
  nothing_to_move.element = 2;
  EXPECT_EQ(copied(nothing_to_move, {7}, 1), (std::vector<uint16_t>{7}));

  StridedCopy both_strided;  // neither side has neighbours
  both_strided.element = 2;
  both_strided.add_axis(2, 2, 6);
  both_strided.add_axis(2, 4, 3);
  EXPECT_EQ(copied(both_strided, {0, 1, 2, 3, 4, 5, 6, 7}, 10),
            (std::vector<uint16_t>{0, 99, 99, 4, 99, 99, 2, 99, 99, 6}));
}

}  // namespace
}  // namespace pippin
