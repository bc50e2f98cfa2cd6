// The expected texts were printed by Python's json.dumps(value, indent=4).
#include "package/python_json.h"

#include <gtest/gtest.h>

#include <limits>

using namespace pippin;
using Json = nlohmann::ordered_json;

namespace {

std::string tagged(const Json& value) {
  return python_json(value, NonfiniteForm::tagged);
}
std::string literal(const Json& value) {
  return python_json(value, NonfiniteForm::literal);
}

}  // namespace

TEST(PythonJson, Floats) {
  const std::pair<double, const char*> rows[] = {
      {0x0.0p+0, "0.0"},
      {-0x0.0p+0, "-0.0"},
      {0x1.0000000000000p+0, "1.0"},
      {-0x1.0000000000000p+0, "-1.0"},
      {0x1.999999999999ap-4, "0.1"},
      {0x1.a36e2eb1c432dp-14, "0.0001"},
      {0x1.a36371ea531a8p-14, "9.999e-05"},
      {0x1.4f8b588e368f1p-17, "1e-05"},
      {0x1.0c6f7a0b5ed8dp-20, "1e-06"},
      {0x1.19799812dea11p-40, "1e-12"},
      {0x1.02e4b6ce5dc68p-13, "0.00012345"},
      {0x1.4000000000000p+1, "2.5"},
      {0x1.3880000000000p+13, "10000.0"},
      {0x1.e848000000000p+19, "1000000.0"},
      {0x1.c6bf526340000p+49, "1000000000000000.0"},
      {0x1.1c37937e07fffp+53, "9999999999999998.0"},
      {0x1.1c37937e08000p+53, "1e+16"},
      {0x1.b69b4ba630f35p+56, "1.2345678901234568e+17"},
      {0x1.0f0cf064dd592p+73, "1e+22"},
      {0x1.52d02c7e14af6p+76, "1e+23"},
      {0x0.0000000000001p-1022, "5e-324"},
      {0x1.fffffffffffffp+1023, "1.7976931348623157e+308"},
      {0x1.fffffe0000000p+127, "3.4028234663852886e+38"},
      {-0x1.fe00000000000p+127, "-3.3895313892515355e+38"},
      {0x1.5555555555555p-2, "0.3333333333333333"},
      {-0x1.74de452e6b438p+811, "-1.989032661366619e+244"},
      {0x1.3270e269e0d37p+594, "7.761117632285041e+178"},
      {0x1.c7fd0a6a3a450p-826, "3.980498358697587e-249"},
      {-0x1.f0824128b2f33p+292, "-1.5432835417340557e+88"},
      {0x1.8e811892f902bp-638, "1.3647584518757569e-192"},
      {-0x1.1985d5d9dc9f8p-684, "-1.3701135617873088e-206"},
      {-0x1.25d940ed90475p+655, "-1.7160537630466207e+197"},
      {0x1.675cc81e74ef5p-144, "6.294675241195386e-44"},
      {0x1.0a35a099950d8p-671, "1.0613447212142254e-202"},
      {0x1.d549b6f03675ap+689, "4.708325160387546e+207"},
      {0x1.c172411e20b8fp-38, "6.387016158513563e-12"},
      {-0x1.16ece1738f7d9p-814, "-9.973130378568733e-246"},
      {-0x1.933f8ff69aabcp-19, "-3.004433888611128e-06"},
      {0x1.5902c56b4a358p+55, "4.855595694850733e+16"},
      {0x1.9868569996c43p+24, "26765398.599956762"},
      {-0x1.d23352724262cp-20, "-1.7367321132909107e-06"},
      {0x1.881bec5b07501p-20, "1.4607201339674892e-06"},
      {0x1.bd1d698047969p+0, "1.7387300432379453"},
      {0x1.9190f52263c58p+21, "3289630.6417918615"},
      {-0x1.35baa55a54e61p+23, "-10149202.676428976"},
  };
  for (const auto& [value, expected] : rows) EXPECT_EQ(python_float(value), expected);
}

TEST(PythonJson, NestingAndOrder) {
  const auto value = Json::parse(R"({"b": [1, 2.0, []], "a": {"z": null, "y": {}}, "c": true})");
  EXPECT_EQ(tagged(value), R"({
    "b": [
        1,
        2.0,
        []
    ],
    "a": {
        "z": null,
        "y": {}
    },
    "c": true
})");
}

TEST(PythonJson, TextIsEscapedToAscii) {
  EXPECT_EQ(tagged("a\"\\/\b\f\n\r\t\x01\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
            R"("a\"\\/\b\f\n\r\t\u0001\u007f\u00e9\u20ac\ud83d\ude00")");
  EXPECT_EQ(tagged(Json{{"\xc3\xa9", 1}}), "{\n    \"\\u00e9\": 1\n}");
}

TEST(PythonJson, Integers) {
  EXPECT_EQ(tagged(Json::parse("[18446744073709551615, -9223372036854775808]")),
            "[\n    18446744073709551615,\n    -9223372036854775808\n]");
}

TEST(PythonJson, TagsAndDoublesOfNonfiniteValues) {
  const auto from_tags =
      Json::parse(R"([{"__float__": "Infinity"}, {"__float__": "-Infinity"}, {"__float__": "NaN"}])");
  const double infinity = std::numeric_limits<double>::infinity();
  const Json from_doubles = {infinity, -infinity, std::numeric_limits<double>::quiet_NaN()};
  const std::string as_tags = R"([
    {
        "__float__": "Infinity"
    },
    {
        "__float__": "-Infinity"
    },
    {
        "__float__": "NaN"
    }
])";
  const std::string as_literals = "[\n    Infinity,\n    -Infinity,\n    NaN\n]";
  EXPECT_EQ(tagged(from_tags), as_tags);
  EXPECT_EQ(tagged(from_doubles), as_tags);
  EXPECT_EQ(literal(from_tags), as_literals);
  EXPECT_EQ(literal(from_doubles), as_literals);
}

TEST(PythonJson, WhatOnlyLooksLikeATagStays) {
  EXPECT_EQ(literal(Json{{"__float__", "1.5"}}), "{\n    \"__float__\": \"1.5\"\n}");
  EXPECT_EQ(literal(Json{{"__float__", 1}}), "{\n    \"__float__\": 1\n}");
}

TEST(PythonJson, BytesThatAreNotUtf8DoNotThrow) {
  EXPECT_EQ(tagged("\xff"), "\"\\ufffd\"");
}
