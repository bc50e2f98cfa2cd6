// Specs as text, tensors in, names out.
#include "spec/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spec/module_tree.h"
#include "spec/spec_document.h"
#include "spec/spec_library.h"
#include "spec/weight_verbs.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Made {
  SpecLibrary library;
  std::unique_ptr<SpecScope> scope;
};

Result<Made> scope_of(const std::string& text, const Value& config) {
  Made made;
  PIPPIN_TRY(nlohmann::ordered_json document, parse_toml(text, "test.toml"));
  expand_module_keys(document);
  PIPPIN_TRY(Spec spec, compile_spec("test", document));
  PIPPIN_TRY(made.scope, SpecScope::make(made.library, std::make_shared<const Spec>(std::move(spec)), config));
  return made;
}

// Names and shapes after the rules, or the error.
std::vector<std::string> after_rules(const std::string& text, const std::vector<std::pair<std::string, Shape>>& source,
                                     const Value& config = Value::object()) {
  auto made = scope_of(text, config);
  if (!made) return {made.error().message()};
  TensorMap tensors;
  uint32_t number = 0;
  for (const auto& [name, shape] : source) tensors.emplace(name, from_source(number++, DType::BF16, shape));
  made->scope->look_at(&tensors, "");
  if (auto status = apply_weight_rules(*made->scope, tensors); !status) return {status.error().message()};
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors) result.push_back(name + " " + to_string(tensor->shape));
  return result;
}

TEST(WeightRules, DropRenameAndReplace) {
  EXPECT_THAT(after_rules("[[weights]]\ndrop = '**inv_freq'\n[[weights]]\nrename = 'model.{x:**}'\nto = "
                          "'m.{x}'\n[[weights]]\nreplace = 'w1'\nwith = 'gate'",
                          {{"model.a.inv_freq", {4}}, {"model.w1.weight", {2, 3}}}),
              ElementsAre("m.gate.weight [2, 3]"));
}

TEST(WeightRules, StackJoinsNumberedTensors) {
  const std::string rule = "[config]\nn = 'required'\n[[weights]]\nstack = 'e.{e}.w'\nto = 'all.w'\ncount = 'n'";
  EXPECT_THAT(after_rules(rule, {{"e.0.w", {2, 3}}, {"e.1.w", {2, 3}}}, {{"n", 2}}), ElementsAre("all.w [2, 2, 3]"));
  EXPECT_THAT(after_rules(rule, {{"e.0.w", {2, 3}}}, {{"n", 2}}), ElementsAre(HasSubstr("number 1 of 2 is missing")));
}

TEST(WeightRules, SplitConcatTransposeReshape) {
  EXPECT_THAT(after_rules("[[weights]]\nsplit = 'qkv'\nsizes = [4, 2, 2]\nto = ['q', 'k', '']", {{"qkv", {8, 5}}}),
              ElementsAre("k [2, 5]", "q [4, 5]"));
  EXPECT_THAT(after_rules("[[weights]]\nsplit = 'gu'\ninterleaved = true\nto = ['g', 'u']", {{"gu", {6, 5}}}),
              ElementsAre("g [3, 5]", "u [3, 5]"));
  EXPECT_THAT(
      after_rules("[[weights]]\nconcat = ['{at}.q', '{at}.k']\nto = '{at}.qk'", {{"a.q", {4, 5}}, {"a.k", {2, 5}}}),
      ElementsAre("a.qk [6, 5]"));
  EXPECT_THAT(after_rules("[[weights]]\ntranspose = 'conv'\nif = 'shape[-1] != 3'\nperm = [0, 2, 3, 1]",
                          {{"conv", {8, 3, 7, 7}}}),
              ElementsAre("conv [8, 7, 7, 3]"));
  EXPECT_THAT(after_rules("[[weights]]\nreshape = 'x'\nshape = [2, -1]", {{"x", {4, 3}}}), ElementsAre("x [2, 6]"));
}

struct Source {
  std::string name;
  DType dtype;
  Shape shape;
};

// How each tensor comes about after the rules, or the error.
std::vector<std::string> recipes_after(const std::string& text, const std::vector<Source>& sources) {
  auto made = scope_of(text, Value::object());
  if (!made) return {made.error().message()};
  TensorMap tensors;
  std::vector<std::string> names;
  for (const auto& [name, dtype, shape] : sources) {
    tensors.emplace(name, from_source(static_cast<uint32_t>(names.size()), dtype, shape));
    names.push_back(name);
  }
  made->scope->look_at(&tensors, "");
  if (auto status = apply_weight_rules(*made->scope, tensors); !status) return {status.error().message()};
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors) result.push_back(name + " = " + describe(*tensor, names));
  return result;
}

TEST(WeightRules, FunctionsAndLimits) {
  EXPECT_THAT(recipes_after("[[weights]]\nsigmoid = 'a'\n[[weights]]\nmaximum = 'a'\nvalue = 0.5\n"
                            "[[weights]]\ndivide = 'a'\nby = 'b'\n[[weights]]\nsquare_root = 'a'",
                            {{"a", DType::F32, {4}}, {"b", DType::F32, {1}}}),
              ElementsAre("a = square root of quotient of [maximum of [sigmoid of a, 0.5], b]", "b = b"));
  EXPECT_THAT(recipes_after("[[weights]]\nsigmoid = 'a'", {{"a", DType::BF16, {4}}}),
              ElementsAre("a = cast(BF16) of sigmoid of cast(F32) of a"));
}

TEST(WeightRules, WarnsWhereItsConditionHolds) {
  auto made = scope_of(
      "[[weights]]\nwarn = 'mind a'\nwhen = \"exists('a')\"\n"
      "[[weights]]\nwarn = 'mind b'\nwhen = \"exists('b')\"",
      Value::object());
  ASSERT_TRUE(made) << made.error().message();
  TensorMap tensors;
  tensors.emplace("a", from_source(0, DType::F32, {1}));
  made->scope->look_at(&tensors, "");
  std::vector<std::string> warnings;
  ASSERT_TRUE(apply_weight_rules(*made->scope, tensors, false, &warnings));
  EXPECT_THAT(warnings, ElementsAre("mind a"));
}

TEST(WeightRules, BroadcastRepeatsAxes) {
  const std::string rule = "[[weights]]\nbroadcast = '{at}.s'\nshape = \"[dim(at + '.w', 0), 3]\"\nto = '{at}.t'";
  EXPECT_THAT(recipes_after(rule, {{"a.s", DType::F32, {2, 1}}, {"a.w", DType::BF16, {2, 3, 4}}}),
              ElementsAre("a.t = broadcast[2, 3] of a.s", "a.w = a.w"));
  EXPECT_THAT(recipes_after(rule, {{"a.s", DType::F32, {3, 1}}, {"a.w", DType::BF16, {2, 3, 4}}}),
              ElementsAre(HasSubstr("F32[3, 1] to [2, 3]")));
}

TEST(WeightRules, DequantizeTakesTheScales) {
  const std::string rule = "[[weights]]\ndequantize = '{at}.w'\nscales = '{at}.s'\nmode = 'mxfp8'";
  EXPECT_THAT(recipes_after(rule, {{"a.s", DType::U8, {2, 2}}, {"a.w", DType::U8, {2, 64}}}),
              ElementsAre("a.w = dequantize(mxfp8 8 bits, group 32 to BF16) of [view(U32) of a.w, a.s]"));
  EXPECT_THAT(recipes_after(rule, {{"a.w", DType::U8, {2, 64}}}), ElementsAre(HasSubstr("a.w needs a.s")));
  EXPECT_THAT(recipes_after("[[weights]]\ndequantize = 'w'\nscales = 's'\nmode = 'fp9'", {{"w", DType::U8, {2, 64}}}),
              ElementsAre(HasSubstr("fp9")));
}

TEST(WeightRules, WhenIsAskedOnceAndStopLeavesOutTheRest) {
  EXPECT_THAT(after_rules("[[weights]]\ndrop = 'head'\nwhen = \"exists('tied')\"", {{"head", {1}}, {"tied", {1}}}),
              ElementsAre("tied [1]"));
  EXPECT_THAT(after_rules("[[weights]]\nstop = \"any_name('new.**')\"\n[[weights]]\ndrop = '**'", {{"new.a", {1}}}),
              ElementsAre("new.a [1]"));
}

std::vector<std::string> parameters(const std::string& text, const Value& config) {
  auto made = scope_of(text, config);
  if (!made) return {made.error().message()};
  const TensorMap none;
  made->scope->look_at(&none, "");
  const auto tree = build_modules(*made->scope);
  if (!tree) return {tree.error().message()};
  std::vector<std::string> result;
  for (const auto& [module, parameter] : tree->order) {
    const MlxModule& one = tree->modules[module];
    result.push_back(one.name_of(one.parameters[parameter].name) + " " + to_string(one.parameters[parameter].shape));
  }
  return result;
}

TEST(ModuleTree, ComesInTheOrderOfTheModel) {
  const std::string text =
      "[config]\nd = 'required'\n[modules.a]\nfor = 'i in range(2)'\nat = 'layers.{i}'\n'{q|k}' = 'linear(d, d, bias=i "
      "== 0)'\n"
      "[modules.b]\nfor = 'i in [1, 0]'\nat = 'layers.{i}'\nnorm = 'rms_norm(d)'\n[modules.c]\nhead = 'linear(9, d) if "
      "d > 4'";
  EXPECT_THAT(parameters(text, {{"d", 4}}),
              ElementsAre("layers.0.q.weight [4, 4]", "layers.0.q.bias [4]", "layers.0.k.weight [4, 4]",
                          "layers.0.k.bias [4]", "layers.0.norm.weight [4]", "layers.1.q.weight [4, 4]",
                          "layers.1.k.weight [4, 4]", "layers.1.norm.weight [4]"));
}

TEST(ModuleTree, NullIsFalseForARequiredFlag) {
  const std::string text = "[config]\nb = 'required flag'\n[modules.m]\nx = 'linear(2, 2, bias=b)'";
  EXPECT_THAT(parameters(text, {{"b", nullptr}}), ElementsAre(HasSubstr("x.weight")));
  EXPECT_THAT(parameters(text, {{"b", true}}), ElementsAre(HasSubstr("x.weight"), HasSubstr("x.bias")));
  EXPECT_THAT(parameters(text, Value::object()), ElementsAre(HasSubstr("has the fields")));
}

TEST(ModuleTree, AbsurdSizesAreErrors) {
  const std::string text = "[config]\nd = 'required'\n[modules.a]\nx = 'linear(d, d)'";
  for (const Value& size : {Value(-1), Value("wide"), Value(1.5), Value(int64_t{1} << 41)}) {
    EXPECT_THAT(parameters(text, {{"d", size}}), ElementsAre(HasSubstr("between 0 and 2^40"))) << size;
  }
  EXPECT_THAT(parameters("[config]\nd = 'required'", Value::object()), ElementsAre(HasSubstr("has the fields")));
}

TEST(Specs, AreStrict) {
  for (const char* text : {"nonsense = 1", "[[weights]]\ndrop = 'a'\nrename = 'b'", "[[weights]]\nstack = 'a'",
                           "[[weights]]\ndrop = 'a'\nwidth = 3", "[modules.a]\nx = 'linear('", "[[quantize]]\nbits = 4",
                           "[modules.a]\nafter = 'b'\nx = 'rms_norm(1)'", "[[packed]]\nmodules = 'a'",
                           "[[packed]]\nmode = 'mxfp4'", "[[packed]]\nmodules = 'a'\nmode = 'mxfp4'\nkeep = true"}) {
    const auto made = scope_of(text, Value::object());
    ASSERT_FALSE(made) << text;
    EXPECT_EQ(made.error().tag, ErrorTag::bad_spec) << text;
  }
}

TEST(Specs, EveryBuiltInSpecCompiles) {
  const SpecLibrary library = SpecLibrary::built_in();
  for (const char* folder : {"mlx_lm", "mlx_vlm"}) {
    EXPECT_GT(library.names(folder).size(), 100U);
    for (const auto& name : library.names(folder)) {
      const auto spec = library.spec(name);
      EXPECT_TRUE(spec) << (spec ? "" : spec.error().message());
    }
  }
}

TEST(Merge, TablesByKeyRulesInTurnResetFirst) {
  const auto base =
      *parse_toml("[config]\na = 1\nb = 2\n[[weights]]\ndrop = 'x'\n[modules.m]\np = 'rms_norm(1)'", "base");
  const auto child = *parse_toml(
      "reset = ['config.a']\n[config]\nb = 3\n[[weights]]\ndrop = 'y'\n[modules.m]\nq = 'rms_norm(2)'", "child");
  const auto merged = *merge_documents(base, child, "child");
  EXPECT_EQ(merged.dump(),
            "{\"config\":{\"b\":3},\"weights\":[{\"drop\":\"x\"},{\"drop\":\"y\"}],"
            "\"modules\":{\"m\":{\"p\":\"rms_norm(1)\",\"q\":\"rms_norm(2)\"}}}");
  EXPECT_FALSE(merge_documents(base, *parse_toml("reset = ['config.z']", "child"), "child"));
}

}  // namespace
}  // namespace pippin
