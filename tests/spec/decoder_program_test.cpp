// A spec's [decoder] as text, operations out.
#include "spec/decoder_program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spec/spec_document.h"
#include "spec/spec_library.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<DecoderProgram> program_of(const std::string& text) {
  PIPPIN_TRY(nlohmann::ordered_json document, parse_toml(text, "test.toml"));
  PIPPIN_TRY(Spec spec, compile_spec("test", document));
  const SpecLibrary library;
  PIPPIN_TRY(const auto scope,
             SpecScope::make(library, std::make_shared<const Spec>(std::move(spec)), Value::object()));
  return make_decoder_program(*scope);
}

// "operation inputs module", or the error.
std::vector<std::string> operations_of(const std::string& functions) {
  const auto program = program_of(
      "[let]\nmarked = '[\"layers.0.q\"]'\n"
      "[decoder]\nlayers = 1\nat = 'layers.{i}'\n[decoder.start]\nx = 'cast(ids, \"float32\")'\n"
      "[decoder.layer]\nnext_x = \"linear(linear(x, 'q'), 'o')\"\n[decoder.finish]\nlogits = "
      "'x'\n[decoder.functions]\n" +
      functions);
  if (!program) return {program.error().message()};
  std::vector<std::string> result;
  for (const auto& node : program->nodes)
    result.push_back(fmt::format("{} {}{}", node.op, node.inputs, node.attributes.value("at", "")));
  return result;
}

TEST(DecoderFunctions, StandForAnOperationButInTheirOwnExpression) {
  EXPECT_THAT(operations_of(""), ElementsAre("ids []", "cast [0]", "linear [1]layers.0.q", "linear [2]layers.0.o"));
  EXPECT_THAT(
      operations_of("'linear(x, at)' = 'linear(tanh(x), at)'"),
      ElementsAre("ids []", "cast [0]", "tanh [1]", "linear [2]layers.0.q", "tanh [3]", "linear [4]layers.0.o"));
}

TEST(DecoderFunctions, CallEachOtherAndKnowWholePaths) {
  EXPECT_THAT(operations_of("'linear(x, at)' = 'linear(turned(x, at), at)'\n"
                            "'turned(x, at)' = 'exp(x) if path(at) in marked else x'"),
              ElementsAre("ids []", "cast [0]", "exp [1]", "linear [2]layers.0.q", "linear [3]layers.0.o"));
  // Two that call each other: the second time the operation is meant.
  EXPECT_THAT(operations_of("'linear(x, at)' = 'exp(linear(x, at))'\n'exp(x)' = 'linear(x, \"q\")'"),
              ElementsAre("ids []", "cast [0]", "linear [1]layers.0.q", "linear [2]layers.0.q", "linear [3]layers.0.o",
                          "linear [4]layers.0.q"));
}

TEST(DecoderFunctions, AreRefusedWithTheirPlace) {
  EXPECT_THAT(operations_of("'linear(x)' = 'x'"), ElementsAre(HasSubstr("linear takes 1 arguments")));
  EXPECT_THAT(operations_of("'linear' = 'x'"), ElementsAre(HasSubstr("a function reads \"name(x, at)\"")));
  EXPECT_THAT(operations_of("'f(x)' = 'x'\n'f(y)' = 'y'"), ElementsAre(HasSubstr("a function is defined once")));
}

}  // namespace
}  // namespace pippin
