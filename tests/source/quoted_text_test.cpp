#include "source/quoted_text.h"

#include <gtest/gtest.h>

namespace pippin {
namespace {

TEST(QuotedText, EscapesWhatATerminalOrJsonCannotTake) {
  EXPECT_EQ(in_quotes("model.norm.weight"), R"("model.norm.weight")");
  EXPECT_EQ(in_quotes("été 模型 😀"), R"("été 模型 😀")");
  EXPECT_EQ(in_quotes("a\nb\x1b[2J\x7f"), R"("a\x0ab\x1b[2J\x7f")");
  EXPECT_EQ(in_quotes("\xC3\x28"), R"("\xc3(")");                     // cut sequence
  EXPECT_EQ(in_quotes("\xC0\xAF"), R"("\xc0\xaf")");                  // overlong
  EXPECT_EQ(in_quotes("\xED\xA0\x80"), R"("\xed\xa0\x80")");          // surrogate
  EXPECT_EQ(in_quotes("\xF4\x90\x80\x80"), R"("\xf4\x90\x80\x80")");  // beyond Unicode
  EXPECT_EQ(in_quotes("\xE2\x82"), R"("\xe2\x82")");                  // cut at the end
}

TEST(QuotedText, NamesOfFilesStandWithoutQuotes) {
  EXPECT_EQ(printable("model.safetensors"), "model.safetensors");
  EXPECT_EQ(printable("a\x1b[2J\xff"), R"(a\x1b[2J\xff)");
}

TEST(QuotedText, CutsLongText) {
  EXPECT_EQ(in_quotes(std::string(5000, 'n')), "\"" + std::string(120, 'n') + "\"... (5000 bytes)");
}

}  // namespace
}  // namespace pippin
