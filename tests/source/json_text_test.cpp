// JSON as Python reads it.
#include "source/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ghost/temporary_folder.h"

namespace pippin {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;

struct Good {
  const char* what;
  std::string text;
  const char* parsed;
};

const Good good[] = {
    {"object, order kept", R"({"b": 1, "a": [true, null, -2, 1.5, "x"]})", R"({"b":1,"a":[true,null,-2,1.5,"x"]})"},
    {"a value of its own", " 7\n", "7"},
    {"byte order mark", "\xEF\xBB\xBF{\"a\": 1}", R"({"a":1})"},
    {"NaN", "[NaN]", R"([{"__float__":"NaN"}])"},
    {"Infinity", R"({"a": Infinity, "b": 1})", R"({"a":{"__float__":"Infinity"},"b":1})"},
    {"-Infinity", "[0.0, -Infinity]", R"([0.0,{"__float__":"-Infinity"}])"},
    {"NaN alone", "NaN", R"({"__float__":"NaN"})"},
    {"tagged already", R"([{"__float__": "Infinity"}])", R"([{"__float__":"Infinity"}])"},
    {"literals in strings stay", R"({"NaN": "-Infinity \" NaN", "a": NaN})",
     R"({"NaN":"-Infinity \" NaN","a":{"__float__":"NaN"}})"},
    {"a backslash before the closing quote", R"(["a\\", NaN])", R"(["a\\",{"__float__":"NaN"}])"},
    {"last of a repeated key, at the first's place", R"({"a": 1, "b": 2, "a": 3})", R"({"a":3,"b":2})"},
    {"largest integers", "[18446744073709551615, -9223372036854775808]", "[18446744073709551615,-9223372036854775808]"},
    {"escapes", R"(["\u00e9\ud83d\ude00\/"])", "[\"\u00e9\U0001F600/\"]"},
    {"200 levels", std::string(200, '[') + std::string(200, ']'), nullptr},
};

TEST(JsonText, ReadsWhatPythonReads) {
  for (const auto& row : good) {
    const auto json = parse_json(row.text, "config.json");
    ASSERT_TRUE(json) << row.what << ": " << json.error().message();
    EXPECT_EQ(json->dump(), row.parsed ? row.parsed : row.text) << row.what;
  }
}

struct Bad {
  const char* what;
  std::string text;
  const char* message;
};

const Bad bad[] = {
    {"nothing", "", "config.json: empty"},
    {"blanks", " \n\t ", "config.json: empty"},
    {"byte order mark alone", "\xEF\xBB\xBF", "config.json: empty"},
    {"UTF-16", "\xFF\xFE{\0}\0"s, "config.json: UTF-16 text"},
    {"cut in an object", "{\"model_type\": \"llama\",", "config.json: ends in the middle of a value"},
    {"cut in a string", "{\"model_type\": \"lla", "config.json: ends in the middle of a value"},
    {"comma at the end", "{\n  \"a\": 1,\n}", "config.json: not JSON at line 3, column 1"},
    {"single quotes", "{'a': 1}", "config.json: not JSON at line 1, column 2"},
    {"comment", "{} // x", "config.json: not JSON at line 1, column 4"},
    {"two values", "{}{}", "config.json: not JSON at line 1, column 3"},
    {"nan in lower case", "[nan]", "config.json: not JSON at line 1, column"},
    {"InfinityWar", "[InfinityWar]", "config.json: not JSON at line 1"},
    {"a literal as key", "{NaN: 1}", "config.json: not JSON at line 1"},
    {"not UTF-8", "{\"a\": \"\xC3\x28\"}", "config.json: not UTF-8 at line 1, column 9"},
    {"number too large", "[1e999]", "config.json: a number too large at line 1"},
    {"201 levels", std::string(201, '[') + std::string(201, ']'), "config.json: nested deeper"},
    {"a million levels", std::string(1'000'000, '['), "config.json: nested deeper"},
    {"a million objects",
     [] {
       std::string text;
       for (int i = 0; i < 1'000'000; ++i) text += "{\"a\":";
       return text;
     }(),
     "config.json: nested deeper"},
    {"LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 654\n",
     "config.json is a Git LFS pointer, not the file itself (the file has 654 bytes)"},
    {"web page", "<html><body>401</body></html>", "config.json is a web page"},
};

TEST(JsonText, NamesWhatIsWrong) {
  for (const auto& row : bad) {
    const auto json = parse_json(row.text, "config.json");
    ASSERT_FALSE(json) << row.what << ": " << json->dump();
    EXPECT_EQ(name_of(json.error().tag), "bad_file") << row.what;
    EXPECT_THAT(json.error().message(), HasSubstr(row.message)) << row.what;
    EXPECT_LT(json.error().message().size(), 300U) << row.what;
  }
}

// A walk over the object for each key would take an hour.
TEST(JsonText, ReadsAnObjectOfAMillionKeys) {
  std::string text = "{\"0\":0";
  for (int i = 1; i < 1'000'000; ++i) text += ",\"" + std::to_string(i) + "\":0";
  const auto json = parse_json(text + "}", "config.json");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->size(), 1'000'000U);
}

TEST(JsonText, ReadsAFile) {
  const TemporaryFolder folder;
  const auto json = read_json(folder.write("config.json", R"({"a": 1})"));
  ASSERT_TRUE(json) << json.error().message();
  EXPECT_EQ(json->dump(), R"({"a":1})");
}

TEST(JsonText, MissingFileAndFolderAreErrors) {
  const TemporaryFolder folder;
  const auto missing = read_json(folder.path() / "config.json");
  ASSERT_FALSE(missing);
  EXPECT_EQ(name_of(missing.error().tag), "not_found");
  const auto itself = read_json(folder.path());
  ASSERT_FALSE(itself);
  EXPECT_THAT(itself.error().message(), HasSubstr("is a folder"));
}

TEST(JsonText, FileBeyondTheLimitIsNotRead) {
  const TemporaryFolder folder;
  const auto path = folder.write("config.json", "");
  std::filesystem::resize_file(path, (uint64_t{64} << 20) + 1);
  const auto json = read_json(path);
  ASSERT_FALSE(json);
  EXPECT_THAT(json.error().message(), HasSubstr("has 67108865 bytes"));
}

}  // namespace
}  // namespace pippin
