// GPTQ layers whose g_idx does not just count groups.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "execute/evaluator.h"
#include "plan/int4_sources.h"
#include "tiny_checkpoint.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

constexpr int64_t inputs = 64;
constexpr int64_t outputs = 8;

// Input i has code i % 8. Group 0: scale 1, zero point 1; group 1: scale 10, zero point 2 (stored less one).
TinyCheckpoint layer(int32_t (*group_of)(int32_t input)) {
  std::vector<int32_t> groups;
  for (int32_t i = 0; i < inputs; i++) groups.push_back(group_of(i));
  std::vector<double> scales(outputs, 1);
  scales.resize(2 * outputs, 10);
  return TinyCheckpoint({{"a.g_idx", DType::I32, {inputs}, bytes_of(groups)},
                         {"a.qweight",
                          DType::I32,
                          {inputs / 8, outputs},
                          bytes_of(std::vector<uint32_t>(inputs / 8 * outputs, 0x76543210))},
                         {"a.qzeros", DType::I32, {2, 1}, bytes_of<uint32_t>({0, 0x11111111})},
                         {"a.scales", DType::F16, {2, outputs}, numbers(DType::F16, scales)}});
}

struct Repacked {
  TensorMap tensors;
  std::vector<std::string> warnings;
};

Repacked repacked(const TinyCheckpoint& tiny, bool keep_dense, int group_size = 32) {
  Repacked result;
  for (uint32_t i = 0; i < tiny.checkpoint().tensors().size(); i++)
    result.tensors.emplace(tiny.checkpoint().tensors()[i].name, tiny.tensor(i));
  const Json declared{{"quant_method", "gptq"}, {"bits", 4}, {"group_size", group_size}};
  const auto format = repack_int4(result.tensors, declared, tiny.checkpoint(), keep_dense, result.warnings);
  EXPECT_TRUE(format) << format.error().message();
  return result;
}

std::vector<std::string> names(const TensorMap& tensors) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors) result.push_back(name);
  return result;
}

TEST(ActOrder, EachInputHasTheScaleOfItsGroup) {
  const TinyCheckpoint tiny = layer([](int32_t input) { return input % 2; });
  const Repacked dense = repacked(tiny, true);
  EXPECT_THAT(names(dense.tensors), ElementsAre("a.weight"));
  const Recipe& weight = *dense.tensors.at("a.weight");
  EXPECT_EQ(weight.dtype, DType::F16);
  EXPECT_EQ(weight.shape, (Shape{outputs, inputs}));
  Evaluator evaluator({&tiny.checkpoint(), Rounding::metal, false});
  evaluator.start(1 << 20);
  Bytes bytes(byte_size(weight));
  ASSERT_TRUE(evaluator.evaluate(weight, whole_box(weight.shape), bytes.data()));
  std::vector<double> first(8);
  cast(DType::F16, bytes.data(), DType::F64, first.data(), 8);
  EXPECT_THAT(first, ElementsAre(-1, -10, 1, 10, 3, 30, 5, 50));
}

TEST(ActOrder, IsQuantizedAgainAndSaid) {
  const Repacked packed = repacked(layer([](int32_t input) { return input % 2; }), false);
  EXPECT_THAT(names(packed.tensors), ElementsAre("a.biases", "a.scales", "a.weight"));
  EXPECT_TRUE(std::holds_alternative<QuantizePart>(packed.tensors.at("a.weight")->op));
  EXPECT_THAT(packed.warnings, ElementsAre(HasSubstr("1 GPTQ layers have act-order")));
}

TEST(ActOrder, CountedGroupsAreRepackedWithoutLoss) {
  const Repacked packed = repacked(layer([](int32_t input) { return input / 32; }), false);
  EXPECT_THAT(names(packed.tensors), ElementsAre("a.biases", "a.scales", "a.weight"));
  EXPECT_TRUE(std::holds_alternative<Transpose>(packed.tensors.at("a.weight")->op));
  EXPECT_THAT(packed.warnings, ElementsAre());
}

TEST(ActOrder, WholeRowsAreSeveralGroupsOfOneScale) {
  const TinyCheckpoint tiny({{"a.g_idx", DType::I32, {256}, Bytes(1024)},
                             {"a.qweight", DType::I32, {32, outputs}, Bytes(1024)},
                             {"a.qzeros", DType::I32, {1, 1}, Bytes(4)},
                             {"a.scales", DType::F16, {1, outputs}, counting(DType::F16, outputs)}});
  const Repacked packed = repacked(tiny, false, -1);
  EXPECT_EQ(packed.tensors.at("a.weight")->shape, (Shape{outputs, 32}));
  EXPECT_EQ(packed.tensors.at("a.scales")->shape, (Shape{outputs, 2}));
  EXPECT_EQ(packed.tensors.at("a.biases")->shape, (Shape{outputs, 2}));
  EXPECT_THAT(packed.warnings, ElementsAre());
}

}  // namespace
}  // namespace pippin
