#include "verify/comparison.h"

#include <gmock/gmock.h>

#include <limits>

#include "package/temporary_folder.h"
#include "source/safetensors_writer.h"

using namespace pippin;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

struct Tensor {
  std::string name;
  DType dtype;
  Shape shape;
  std::string bytes;
};

template <typename Value>
std::string bytes_of(const std::vector<Value>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value)};
}

// A checkpoint of one file a tensor list.
class Folder {
 public:
  explicit Folder(const std::vector<std::vector<Tensor>>& files) {
    folder_.write("config.json", "{}");
    for (size_t file = 0; file < files.size(); ++file) {
      std::vector<SafetensorsTensor> tensors;
      std::string data;
      for (const auto& tensor : files[file]) {
        tensors.push_back({tensor.name, tensor.dtype, tensor.shape});
        data += tensor.bytes;
      }
      folder_.write("model-" + std::to_string(file) + ".safetensors", safetensors_header(tensors, {}) + data);
    }
  }

  [[nodiscard]] Result<Checkpoint> open() const { return Checkpoint::open(folder_.path(), FileSelection::mlx_lm); }

 private:
  TemporaryFolder folder_;
};

Comparison compared(const Folder& a, const Folder& b) {
  const auto opened_a = a.open();
  const auto opened_b = b.open();
  EXPECT_TRUE(opened_a && opened_b);
  auto report = compare(*opened_a, *opened_b);
  EXPECT_TRUE(report);
  return *report;
}

// The one difference of one tensor's values.
TensorDifference difference(DType dtype_a, const std::string& a, DType dtype_b, const std::string& b,
                            int64_t elements) {
  const auto report = compared(Folder({{{"w", dtype_a, {elements}, a}}}), Folder({{{"w", dtype_b, {elements}, b}}}));
  EXPECT_EQ(report.differences.size(), 1u);
  return report.differences.empty() ? TensorDifference{} : report.differences[0];
}

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST(Compare, EqualWhateverTheShards) {
  const Tensor x{"x", DType::U8, {3}, "abc"};
  const Tensor y{"y", DType::F32, {}, bytes_of<float>({nan_value})};
  const Tensor empty{"z", DType::BF16, {0, 4}, ""};
  const auto report = compared(Folder({{x, y, empty}}), Folder({{empty, y}, {x}}));
  EXPECT_TRUE(report.is_equal());
  EXPECT_EQ(report.equal_tensors, 3u);
  EXPECT_EQ(report.compared_bytes, 14u);
}

TEST(Compare, NamesShapesAndDtypes) {
  const auto report = compared(Folder({{{"a", DType::U8, {2}, "xx"},
                                        {"b", DType::U8, {2, 1}, "xx"},
                                        {"c", DType::U8, {2}, "xx"},
                                        {"d", DType::I8, {2}, "xx"}}}),
                               Folder({{{"b", DType::U8, {1, 2}, "xx"},
                                        {"c", DType::U8, {2}, "xx"},
                                        {"d", DType::U8, {2}, "xx"},
                                        {"e", DType::U8, {2}, "xx"}}}));
  std::vector<std::string> lines;
  for (const auto& found : report.differences)
    lines.push_back(found.name + ": " + std::string(name_of(found.kind)) + ": " + found.a + " / " + found.b);
  EXPECT_THAT(lines, ElementsAre("a: only in a: U8 [2] / ", "b: shape: U8 [2, 1] / U8 [1, 2]",
                                 "d: dtype: I8 [2] / U8 [2]", "e: only in b:  / U8 [2]"));
  EXPECT_EQ(report.equal_tensors, 1u);
}

TEST(Compare, LargestDifferenceOfFloats) {
  const auto found =
      difference(DType::F32, bytes_of<float>({1, 2, 3, -0.0f}), DType::F32, bytes_of<float>({1, 2.5, -1, 0.0f}), 4);
  EXPECT_EQ(found.kind, DifferenceKind::values);
  EXPECT_EQ(found.elements, 4u);
  EXPECT_EQ(found.differing_elements, 3u);
  EXPECT_EQ(found.largest_difference, 4.0);
  EXPECT_EQ(found.nonfinite_pairs, 0u);
}

TEST(Compare, EveryFloatingDtype) {
  EXPECT_EQ(
      difference(DType::F64, bytes_of<double>({1}), DType::F64, bytes_of<double>({1 + 1e-12}), 1).largest_difference,
      (1 + 1e-12) - 1);
  EXPECT_EQ(difference(DType::F16, bytes_of<uint16_t>({0x3c00}), DType::F16, bytes_of<uint16_t>({0x4000}), 1)
                .largest_difference,
            1.0);
  EXPECT_EQ(difference(DType::BF16, bytes_of<uint16_t>({0x3f80}), DType::BF16, bytes_of<uint16_t>({0x4040}), 1)
                .largest_difference,
            2.0);
}

TEST(Compare, IntegersAreCounted) {
  const auto found =
      difference(DType::U32, bytes_of<uint32_t>({1, 2, 3}), DType::U32, bytes_of<uint32_t>({1, 7, 4}), 3);
  EXPECT_EQ(found.differing_elements, 2u);
  EXPECT_EQ(found.largest_difference, std::nullopt);
}

TEST(Compare, NonfinitePairs) {
  const auto found = difference(DType::F32, bytes_of<float>({infinity, infinity, nan_value, 1, 5, nan_value}),
                                DType::F32, bytes_of<float>({infinity, -infinity, 2, nan_value, 6, nan_value}), 6);
  EXPECT_EQ(found.differing_elements, 4u);
  EXPECT_EQ(found.nonfinite_pairs, 3u);
  EXPECT_EQ(found.largest_difference, 1.0);
}

TEST(Compare, ValuesOfDifferentFloatingDtypes) {
  const auto same =
      difference(DType::F32, bytes_of<float>({1, 2}), DType::BF16, bytes_of<uint16_t>({0x3f80, 0x4000}), 2);
  EXPECT_EQ(same.kind, DifferenceKind::dtype);
  EXPECT_EQ(same.differing_elements, 0u);
  EXPECT_EQ(same.largest_difference, 0.0);
  const auto other =
      difference(DType::F32, bytes_of<float>({1, 4}), DType::BF16, bytes_of<uint16_t>({0x3f80, 0x4000}), 2);
  EXPECT_EQ(other.differing_elements, 1u);
  EXPECT_EQ(other.largest_difference, 2.0);
}

TEST(Compare, LastElementOfManyBlocks) {
  constexpr int64_t elements = 600'001;
  std::string a(static_cast<size_t>(elements) * 2, '\0');
  std::string b = a;
  b[b.size() - 1] = 0x40;
  const auto found = difference(DType::BF16, a, DType::BF16, b, elements);
  EXPECT_EQ(found.elements, static_cast<uint64_t>(elements));
  EXPECT_EQ(found.differing_elements, 1u);
  EXPECT_EQ(found.largest_difference, 2.0);
}

TEST(Compare, ProgressAndCancel) {
  const Folder folder({{{"w", DType::U8, {4}, "abcd"}}});
  const auto opened = folder.open();
  std::vector<uint64_t> progress;
  CompareOptions options;
  options.progress = [&](uint64_t bytes) { progress.push_back(bytes); };
  ASSERT_TRUE(compare(*opened, *opened, options));
  EXPECT_THAT(progress, ElementsAre(8));

  const std::atomic<bool> cancelled = true;
  options.cancelled = &cancelled;
  EXPECT_EQ(compare(*opened, *opened, options).error().tag, ErrorTag::interrupted);
}

TEST(Compare, FileThatShrinksIsAnError) {
  const TemporaryFolder folder;
  const SafetensorsTensor tensor{"w", DType::U8, {4}};
  folder.write("config.json", "{}");
  const auto header = safetensors_header({&tensor, 1}, {});
  folder.write("model.safetensors", header + "abcd");
  const auto opened = Checkpoint::open(folder.path(), FileSelection::mlx_lm);
  ASSERT_TRUE(opened);
  folder.write("model.safetensors", header + "ab");
  EXPECT_EQ(compare(*opened, *opened).error().tag, ErrorTag::bad_file);
}
