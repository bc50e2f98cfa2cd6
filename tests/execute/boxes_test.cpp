// Boxes, what a reshape makes of them, and the blocks of jobs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "execute/child_box.h"
#include "execute/job_blocks.h"
#include "execute/reshape_groups.h"
#include "execute/source_reader.h"
#include "tiny_checkpoint.h"

namespace pippin {
namespace {

Box box_of(const std::vector<std::pair<int64_t, int64_t>>& ranges) {
  Box box;
  for (const auto& [lo, hi] : ranges) {
    box.lo[box.rank] = lo;
    box.hi[box.rank++] = hi;
  }
  return box;
}

std::string text(const Box& box) {
  std::string result;
  for (int k = 0; k < box.rank; k++) result += fmt::format("{}{}:{}", k ? " " : "", box.lo[k], box.hi[k]);
  return result;
}

TEST(Box, PlacesCountFromTheTensorsBegin) {
  const Box box = box_of({{1, 3}, {4, 7}});
  EXPECT_EQ(box.count(), 6);
  EXPECT_EQ(place_of(box, 0), "[1, 4]");
  EXPECT_EQ(place_of(box, 5), "[2, 6]");
  EXPECT_EQ(first_index(box, dense_strides(Shape{5, 10})), 14);
  EXPECT_EQ(box_of({{2, 3}, {0, 2}}).first_wide_axis(), 1);
}

TEST(ReshapeBox, IsTheSmallestOfTheInput) {
  struct Row {
    Shape in, out;
    Box box;
    const char* expected;
  };
  const Row rows[] = {
      {{6}, {2, 3}, box_of({{0, 2}, {0, 3}}), "0:6"},
      {{6}, {2, 3}, box_of({{1, 2}, {1, 2}}), "4:5"},
      {{6}, {2, 3}, box_of({{0, 2}, {1, 2}}), "1:5"},
      {{2, 3}, {6}, box_of({{4, 5}}), "1:2 1:2"},
      {{2, 3}, {6}, box_of({{3, 5}}), "1:2 0:2"},
      {{2, 3}, {6}, box_of({{2, 5}}), "0:2 0:3"},
      {{2, 3, 4}, {6, 4}, box_of({{3, 5}, {1, 2}}), "1:2 0:2 1:2"},
      {{2, 1, 3, 4}, {6, 1, 4}, box_of({{3, 5}, {0, 1}, {1, 2}}), "1:2 0:1 0:2 1:2"},
      {{4, 1, 1}, {4}, box_of({{2, 3}}), "2:3 0:1 0:1"},
      {{}, {1, 1}, box_of({{0, 1}, {0, 1}}), ""},
      {{1, 1}, {}, box_of({}), "0:1 0:1"},
      {{4, 6}, {6, 4}, box_of({{1, 2}, {0, 4}}), "0:2 0:6"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(text(reshape_box(row.in, row.out, reshape_groups(row.in, row.out), row.box)), row.expected)
        << to_string(row.in) << " to " << to_string(row.out) << ", " << text(row.box);
}

TEST(ReshapeGather, TellsWhereTheBoxLies) {
  // Of 6 elements seen as 2 x 3, the middle column: elements 1 and 4; the input's box begins at 1.
  const Shape in{6};
  const Shape out{2, 3};
  const auto groups = reshape_groups(in, out);
  const Box box = box_of({{0, 2}, {1, 2}});
  const auto gather = reshape_gather(in, out, groups, box, reshape_box(in, out, groups, box));
  EXPECT_EQ(gather.offset, 0);
  EXPECT_EQ(gather.strides[0], 3);
  EXPECT_EQ(gather.strides[1], 1);
}

TEST(ChildBox, PackedInputsComeInWholeGroups) {
  const QuantFormat format{QuantMode::affine, 3, 64};
  const auto packed = from_source(0, DType::U32, {4, 12});
  const auto scales = from_source(1, DType::F16, {4, 2});
  const auto recipe = *dequantize(format, packed, scales, scales, DType::F16);
  EXPECT_EQ(text(child_box(*recipe, 0, box_of({{1, 2}, {60, 61}}))), "1:2 0:6");
  EXPECT_EQ(text(child_box(*recipe, 1, box_of({{1, 2}, {60, 70}}))), "1:2 0:2");
  const auto weight = *quantize_part(format, from_source(0, DType::F16, {4, 128}), QuantizePart::Part::weight);
  EXPECT_EQ(text(child_box(*weight, 0, box_of({{0, 1}, {5, 6}}))), "0:1 0:64");
  EXPECT_EQ(text(child_box(*weight, 0, box_of({{0, 1}, {5, 7}}))), "0:1 0:128");
}

TEST(SourceReader, JoinsCloseRunsAndSkipsWideGaps) {
  struct Row {
    Shape shape;
    Box box;
    int64_t reads, bytes;
  };
  const Row rows[] = {
      {{100, 1000}, box_of({{0, 100}, {0, 1000}}), 1, 200000},
      {{100, 1000}, box_of({{10, 20}, {0, 1000}}), 1, 20000},
      {{100, 1000}, box_of({{10, 20}, {5, 6}}), 1, 18002},       // gaps of 2 KB are read
      {{100, 10000}, box_of({{10, 20}, {5, 6}}), 10, 2},         // gaps of 20 KB are not
      {{1000, 1000}, box_of({{0, 1000}, {0, 500}}), 8, 261000},  // in pieces of up to 256 KB
      {{4, 10, 1000}, box_of({{0, 4}, {0, 2}, {0, 1000}}), 4, 4000},
      {{}, box_of({}), 1, 2},
  };
  for (const Row& row : rows) {
    const TensorInfo tensor{"t", DType::BF16, row.shape, 0, 0, 0};
    const ReadCost cost = cost_of_reading(tensor, row.box);
    EXPECT_EQ(cost.reads, row.reads) << text(row.box);
    EXPECT_EQ(cost.read_bytes, row.bytes) << text(row.box);
  }
}

// Number of blocks, and the boxes of the first and the last.
std::string blocks_text(const RecipePtr& value, std::optional<QuantFormat> format, size_t thread_bytes,
                        const Checkpoint& source) {
  const Job job{value, format, {}, ""};
  const JobBlocks blocks = cut_job(job, source, thread_bytes);
  if (blocks.count == 0) return "0";
  return std::to_string(blocks.count) + ": " + text(blocks.box(0)) + " ... " + text(blocks.box(blocks.count - 1));
}

TEST(JobBlocks, AreRowsAndCoverTheValue) {
  const TinyCheckpoint none({});
  const auto text_of = [&](const Shape& shape, std::optional<QuantFormat> format, size_t bytes) {
    return blocks_text(constant(0, DType::BF16, shape), format, bytes, none.checkpoint());
  };
  constexpr size_t plenty = 64 << 20;
  const QuantFormat four{QuantMode::affine, 4, 64};
  EXPECT_EQ(text_of({1000, 1024}, {}, plenty), "2: 0:500 0:1024 ... 500:1000 0:1024");
  EXPECT_EQ(text_of({8, 300, 1024}, {}, plenty), "8: 0:1 0:300 0:1024 ... 7:8 0:300 0:1024");
  EXPECT_EQ(text_of({2, 3, 1 << 20}, {}, plenty), "12: 0:1 0:1 0:524288 ... 1:2 2:3 524288:1048576");
  EXPECT_EQ(text_of({}, {}, plenty), "1:  ... ");
  EXPECT_EQ(text_of({5}, {}, plenty), "1: 0:5 ... 0:5");
  EXPECT_EQ(text_of({5, 0}, {}, plenty), "0");
  EXPECT_EQ(text_of({3, 128}, four, 1), "6: 0:1 0:64 ... 2:3 64:128") << "groups are never cut";
  EXPECT_EQ(text_of({3, 5}, {}, 1), "15: 0:1 0:1 ... 2:3 4:5");
}

TEST(JobBlocks, GrowWhereTheSourceWouldBeReadInShortRuns) {
  const TinyCheckpoint tiny({{"w", DType::U8, {1 << 10, 1 << 14}, Bytes(1 << 24)}});
  const auto text_of = [&](const RecipePtr& value, size_t bytes) {
    return blocks_text(value, {}, bytes, tiny.checkpoint());
  };
  EXPECT_EQ(text_of(tiny.tensor(0), 64 << 20), "16: 0:64 0:16384 ... 960:1024 0:16384");
  // 4096 rows of the result are runs of 4 KB in the source.
  const auto across = *transpose(tiny.tensor(0), {1, 0});
  EXPECT_EQ(text_of(across, 64 << 20), "4: 0:4096 0:1024 ... 12288:16384 0:1024");
  EXPECT_EQ(text_of(across, 6 << 20), "8: 0:2048 0:1024 ... 14336:16384 0:1024") << "as far as the memory goes";
}

}  // namespace
}  // namespace pippin
