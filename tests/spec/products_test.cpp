// The verbs merge_lora, weight_norm and rotary_table: tensors in, recipes out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spec/spec_document.h"
#include "spec/spec_library.h"
#include "spec/weight_verbs.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Given {
  std::string name;
  DType dtype;
  Shape shape;
};

// Each name, dtype and recipe after the rules, or the error.
std::vector<std::string> after_rules(const std::string& text, const std::vector<Given>& source) {
  auto document = parse_toml("[config]\nr = 4\n" + text, "test.toml");
  if (!document) return {document.error().message()};
  auto spec = compile_spec("test", *document);
  if (!spec) return {spec.error().message()};
  const SpecLibrary library;
  auto scope = SpecScope::make(library, std::make_shared<const Spec>(*std::move(spec)), Value::object());
  if (!scope) return {scope.error().message()};
  TensorMap tensors;
  std::vector<std::string> names;
  for (const auto& [name, dtype, shape] : source) {
    tensors.emplace(name, from_source(static_cast<uint32_t>(names.size()), dtype, shape));
    names.push_back(name);
  }
  (*scope)->look_at(&tensors, "");
  if (auto status = apply_weight_rules(**scope, tensors); !status) return {status.error().message()};
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors)
    result.push_back(name + " " + std::string(name_of(tensor->dtype)) + ": " + describe(*tensor, names));
  return result;
}

constexpr const char* lora = "[[weights]]\nmerge_lora = '{at}.weight'\na = '{at}.A'\nb = '{at}.B'\n";

TEST(MergeLora, AddsTheProduct) {
  EXPECT_THAT(
      after_rules(lora,
                  {{"w.A", DType::BF16, {4, 6}}, {"w.B", DType::BF16, {8, 4}}, {"w.weight", DType::BF16, {8, 6}}}),
      ElementsAre("w.weight BF16: sum of [w.weight, matrix product of [w.B, w.A]]"));
  EXPECT_THAT(
      after_rules(std::string(lora) + "scale = '8 / r'\nto = 'm.{at}'",
                  {{"w.A", DType::BF16, {4, 6}}, {"w.B", DType::BF16, {8, 4}}, {"w.weight", DType::BF16, {8, 6}}}),
      ElementsAre("m.w BF16: sum of [w.weight, product of [matrix product of [w.B, w.A], 2]]"));
}

TEST(MergeLora, AFactorAloneGoesAndTheWeightStays) {
  EXPECT_THAT(
      after_rules(lora,
                  {{"v.weight", DType::BF16, {8, 6}}, {"w.A", DType::BF16, {4, 6}}, {"w.weight", DType::BF16, {8, 6}}}),
      ElementsAre("v.weight BF16: v.weight", "w.weight BF16: w.weight"));
}

TEST(MergeLora, DifferentDtypesMeetInFloat32) {
  EXPECT_THAT(
      after_rules(lora, {{"w.A", DType::F32, {4, 6}}, {"w.B", DType::F32, {8, 4}}, {"w.weight", DType::BF16, {8, 6}}}),
      ElementsAre("w.weight F32: sum of [cast(F32) of w.weight, matrix product of [w.B, w.A]]"));
}

TEST(MergeLora, WhatDoesNotFitIsAnError) {
  EXPECT_THAT(
      after_rules(lora,
                  {{"w.A", DType::BF16, {4, 6}}, {"w.B", DType::BF16, {8, 5}}, {"w.weight", DType::BF16, {8, 6}}}),
      ElementsAre(HasSubstr("fit each other")));
  EXPECT_THAT(
      after_rules(lora,
                  {{"w.A", DType::BF16, {4, 6}}, {"w.B", DType::BF16, {9, 4}}, {"w.weight", DType::BF16, {8, 6}}}),
      ElementsAre(HasSubstr("product [9, 6], weight [8, 6]")));
  EXPECT_THAT(
      after_rules(std::string(lora) + "scale = \"'much'\"",
                  {{"w.A", DType::BF16, {4, 6}}, {"w.B", DType::BF16, {8, 4}}, {"w.weight", DType::BF16, {8, 6}}}),
      ElementsAre(HasSubstr("scale must be a number")));
  EXPECT_THAT(
      after_rules(lora, {{"w.A", DType::I32, {4, 6}}, {"w.B", DType::I32, {8, 4}}, {"w.weight", DType::BF16, {8, 6}}}),
      ElementsAre(HasSubstr("F32, F16 or BF16")));
}

constexpr const char* norm = "[[weights]]\nweight_norm = '{at}.v'\ng = '{at}.g'\nto = '{at}.weight'\n";

TEST(WeightNorm, PutsLengthAndDirectionTogether) {
  EXPECT_THAT(after_rules(norm, {{"w.g", DType::F32, {8, 1}}, {"w.v", DType::F32, {8, 6}}}),
              ElementsAre("w.weight F32: product of [w.v, quotient of [w.g, maximum of [norm(1) of w.v, 1e-12]]]"));
  EXPECT_THAT(after_rules(norm, {{"w.g", DType::BF16, {8}}, {"w.v", DType::BF16, {8, 3, 2}}}),
              ElementsAre(testing::StartsWith("w.weight BF16: reshape[8, 3, 2] of cast(BF16) of product")));
}

TEST(WeightNorm, WhatDoesNotFitIsAnError) {
  EXPECT_THAT(after_rules(norm, {{"w.v", DType::F32, {8, 6}}}), ElementsAre(HasSubstr("its lengths g beside it")));
  EXPECT_THAT(after_rules(norm, {{"w.g", DType::F32, {7}}, {"w.v", DType::F32, {8, 6}}}),
              ElementsAre(HasSubstr("keeps the number of elements")));
}

TEST(RotaryTable, TakesTheNameAlsoOfWhatIsThere) {
  EXPECT_THAT(after_rules("[[weights]]\nrotary_table = 'cos'\nfunction = 'cos'\nlength = 16\ndims = 'r * 2'",
                          {{"cos", DType::BF16, {1}}}),
              ElementsAre("cos F32: rotary cosine table[16, 4]"));
  EXPECT_THAT(after_rules("[[weights]]\nrotary_table = 'x'\nfunction = 'tan'\nlength = 16\ndims = 8", {}),
              ElementsAre(HasSubstr("function is cos or sin")));
  EXPECT_THAT(after_rules("[[weights]]\nrotary_table = 'x'\nfunction = 'sin'\nlength = 16\ndims = 7", {}),
              ElementsAre(HasSubstr("an even number of dimensions")));
}

}  // namespace
}  // namespace pippin
