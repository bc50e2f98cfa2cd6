// Headers of the safetensors format: what is read, and what each broken one is called.
#include "source/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ghost/temporary_folder.h"
#include "source/safetensors_bytes.h"

namespace pippin {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;

TEST(Safetensors, ReadsEntriesInTheOrderOfTheirBytes) {
  const auto header = parse_safetensors_header(R"({
    "__metadata__": {"format": "pt"},
    "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
    "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
    "empty": {"dtype": "I64", "shape": [0, 7], "data_offsets": [4, 4]}
  }   )",
                                               16, "model.safetensors");
  ASSERT_TRUE(header) << header.error().message();
  EXPECT_EQ(header->metadata.dump(), R"({"format":"pt"})");
  ASSERT_EQ(header->entries.size(), 3U);

  EXPECT_EQ(header->entries[0].name, "a");
  EXPECT_EQ(header->entries[0].dtype, DType::F32);
  EXPECT_EQ(header->entries[0].shape, Shape{});
  EXPECT_EQ(header->entries[0].size, 4U);

  EXPECT_EQ(header->entries[1].name, "empty");
  EXPECT_EQ(header->entries[1].shape, (Shape{0, 7}));
  EXPECT_EQ(header->entries[1].size, 0U);

  EXPECT_EQ(header->entries[2].name, "b");
  EXPECT_EQ(header->entries[2].shape, (Shape{2, 3}));
  EXPECT_EQ(header->entries[2].size, 12U);
  EXPECT_EQ(header->entries[2].offset, header->entries[0].offset + 4);
}

TEST(Safetensors, CountsOffsetsFromTheBeginOfTheFile) {
  const std::string text = R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})";
  const auto header = parse_safetensors_header(text, 3, "model.safetensors");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->entries[0].offset, 8 + text.size());
}

TEST(Safetensors, AcceptsAHeaderWithoutTensors) {
  for (const char* text : {"{}", R"({"__metadata__":{}})", R"({"__metadata__":null})"}) {
    const auto header = parse_safetensors_header(text, 0, "model.safetensors");
    ASSERT_TRUE(header) << text << header.error().message();
    EXPECT_TRUE(header->entries.empty());
  }
}

TEST(Safetensors, TensorOfMoreThan2To31ElementsIsFine) {
  const auto header =
      parse_safetensors_header(R"({"a":{"dtype":"BF16","shape":[262144,16384],"data_offsets":[0,8589934592]}})",
                               8589934592, "model.safetensors");
  ASSERT_TRUE(header) << header.error().message();
  EXPECT_EQ(header->entries[0].size, 8589934592U);
}

struct Nasty {
  const char* what;
  std::string header;
  uint64_t data_size;
  ErrorTag tag;
  const char* message;
};

std::string entry(const char* dtype, const char* shape, const char* offsets) {
  return fmt::format(R"({{"w":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
}

const Nasty nasty[] = {
    {"empty", "", 0, ErrorTag::bad_file, "a safetensors file has a JSON header"},
    {"not JSON", "hello", 0, ErrorTag::bad_file, "a safetensors file has a JSON header"},
    {"cut JSON", R"({"w":{"dtype":"U8")", 0, ErrorTag::bad_file, "a safetensors file has a JSON header"},
    {"text behind", "{} x", 0, ErrorTag::bad_file, "a safetensors file has a JSON header"},
    {"zero bytes behind", "{}\0\0"s, 0, ErrorTag::bad_file, "a safetensors file has a JSON header"},
    {"not UTF-8", "{\"\xC3\x28\":1}", 0, ErrorTag::bad_file, "a header is UTF-8"},
    {"an array", "[]", 0, ErrorTag::bad_file, "the header is another JSON value"},
    {"nested 2000 deep", std::string(2000, '['), 0, ErrorTag::bad_file, "a safetensors file has a JSON header"},

    {"name twice",
     R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2,
     ErrorTag::bad_file, R"(m: "w" twice)"},
    {"name twice, once escaped",
     R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0077":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
     2, ErrorTag::bad_file, R"(m: "w" twice)"},
    {"key twice", R"({"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, ErrorTag::bad_file,
     R"("w": dtype twice)"},
    {"metadata twice", R"({"__metadata__":{},"__metadata__":{}})", 0, ErrorTag::bad_file, R"("__metadata__" twice)"},
    {"metadata key twice", R"({"__metadata__":{"a":"1","a":"2"}})", 0, ErrorTag::bad_file, R"("a" twice)"},
    {"metadata of numbers", R"({"__metadata__":{"a":1}})", 0, ErrorTag::bad_file, R"(__metadata__ "a" is no string)"},
    {"metadata an array", R"({"__metadata__":[]})", 0, ErrorTag::bad_file, "__metadata__ is another value"},

    {"entry a number", R"({"w":1})", 0, ErrorTag::bad_file, R"("w" is another JSON value)"},
    {"no dtype", R"({"w":{"shape":[1],"data_offsets":[0,1]}})", 1, ErrorTag::bad_file, R"("w" has no dtype)"},
    {"no shape", R"({"w":{"dtype":"U8","data_offsets":[0,1]}})", 1, ErrorTag::bad_file, R"("w" has no shape)"},
    {"no offsets", R"({"w":{"dtype":"U8","shape":[1]}})", 1, ErrorTag::bad_file, R"("w" has no data_offsets)"},
    {"unknown dtype", entry("\"F12\"", "[1]", "[0,1]"), 1, ErrorTag::bad_file, R"(m: "w" has dtype "F12")"},
    {"dtype without MLX equal", entry("\"F4\"", "[2]", "[0,1]"), 1, ErrorTag::unsupported, R"(m: "w" has dtype "F4")"},
    {"dtype a number", entry("8", "[1]", "[0,1]"), 1, ErrorTag::bad_file, "dtype of another kind"},

    {"shape an object", entry("\"U8\"", "{}", "[0,1]"), 1, ErrorTag::bad_file, "shape of another kind"},
    {"negative dimension", entry("\"U8\"", "[-1]", "[0,1]"), 1, ErrorTag::bad_file, R"("w" has dimension -1)"},
    {"fractional dimension", entry("\"U8\"", "[1.5]", "[0,1]"), 1, ErrorTag::bad_file, R"("w" has dimension 1.5)"},
    {"dimension a string", entry("\"U8\"", "[\"1\"]", "[0,1]"), 1, ErrorTag::bad_file, R"("w" has dimension "1")"},
    {"dimension beyond int64", entry("\"U8\"", "[9223372036854775808]", "[0,1]"), 1, ErrorTag::bad_file,
     R"("w" has dimension 9223372036854775808)"},
    {"dimension beyond uint64", entry("\"U8\"", "[99999999999999999999]", "[0,1]"), 1, ErrorTag::bad_file,
     "numbers of a header fit 64 bits"},
    {"product overflow", entry("\"U8\"", "[4294967296,4294967296]", "[0,0]"), 0, ErrorTag::bad_file,
     R"("w" has shape [4294967296, 4294967296])"},
    {"byte count overflow", entry("\"F64\"", "[4611686018427387904]", "[0,0]"), 0, ErrorTag::bad_file,
     R"("w" has shape [4611686018427387904])"},

    {"bytes too few", entry("\"F32\"", "[2,3]", "[0,20]"), 20, ErrorTag::bad_file,
     R"("w" is F32 [2, 3], which takes 24 bytes, and has 20)"},
    {"bytes for no element", entry("\"F32\"", "[0]", "[0,4]"), 4, ErrorTag::bad_file,
     R"("w" is F32 [0], which takes 0 bytes, and has 4)"},
    {"offsets negative", entry("\"U8\"", "[1]", "[-1,0]"), 1, ErrorTag::bad_file, R"("w" has data_offsets [-1,0])"},
    {"offsets fractional", entry("\"U8\"", "[1]", "[0,1.0]"), 1, ErrorTag::bad_file, R"("w" has data_offsets [0,1.0])"},
    {"offsets reversed", entry("\"U8\"", "[1]", "[1,0]"), 1, ErrorTag::bad_file, R"("w" has data_offsets [1,0])"},
    {"one offset", entry("\"U8\"", "[1]", "[1]"), 1, ErrorTag::bad_file, R"("w" has data_offsets [1])"},
    {"three offsets", entry("\"U8\"", "[1]", "[0,1,2]"), 1, ErrorTag::bad_file, R"("w" has data_offsets [0,1,2])"},
    {"beyond the file", entry("\"U8\"", "[8]", "[0,8]"), 7, ErrorTag::bad_file,
     R"("w" ends at byte 8 of the data, the file has 7)"},
    {"offset near 2^64", entry("\"U8\"", "[1]", "[18446744073709551614,18446744073709551615]"), 1, ErrorTag::bad_file,
     "ends at byte 18446744073709551615 of the data"},

    {"overlap",
     R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})", 7,
     ErrorTag::bad_file, R"("b" begins at byte 3 of the data, "a" ends at 4)"},
    {"one inside the other",
     R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 8,
     ErrorTag::bad_file, "tensors do not overlap"},
    {"the same bytes twice",
     R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4,
     ErrorTag::bad_file, "tensors do not overlap"},
    {"hole",
     R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})", 9,
     ErrorTag::bad_file, "the data has no holes"},
    {"hole at the begin", entry("\"U8\"", "[1]", "[1,2]"), 2, ErrorTag::bad_file,
     R"("w" begins at byte 1 of the data, the header ends at 0)"},
    {"bytes behind", entry("\"U8\"", "[1]", "[0,1]"), 3, ErrorTag::bad_file, "m: 2 bytes follow the last tensor"},
    {"name of a megabyte", R"({")" + std::string(1 << 20, 'n') + R"(":1})", 0, ErrorTag::bad_file,
     "nnn\"... (1048576 bytes)"},
    {"name with a terminal escape", R"({"\u001b[2J":1})", 0, ErrorTag::bad_file, R"("\x1b[2J")"},
};

TEST(Safetensors, NamesWhatIsWrongWithANastyHeader) {
  for (const auto& row : nasty) {
    const auto header = parse_safetensors_header(row.header, row.data_size, "m");
    ASSERT_FALSE(header) << row.what;
    EXPECT_EQ(name_of(header.error().tag), name_of(row.tag)) << row.what;
    EXPECT_THAT(header.error().message(), HasSubstr(row.message)) << row.what;
    EXPECT_FALSE(header.error().way_out.empty()) << row.what;
    EXPECT_LT(header.error().message().size(), 600U) << row.what;
  }
}

struct NastyFile {
  const char* what;
  std::string content;
  const char* message;
};

const NastyFile nasty_files[] = {
    {"no bytes", "", "has 0 bytes"},
    {"seven bytes", "1234567", "has 7 bytes"},
    {"header beyond the file", length_field(100) + "{}",
     "says its header has 100 bytes and has 2 bytes after the length"},
    {"header over the limit", length_field(100'000'001) + "{}", "a safetensors header has at most 100000000 bytes"},
    {"length 2^64 - 1", length_field(UINT64_MAX) + "{}", "says its header has 18446744073709551615 bytes"},
    {"no header", length_field(0), "a safetensors file has a JSON header"},
    {"cut in the data", safetensors_bytes(R"({"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "twelve bytes"),
     R"("w" ends at byte 16 of the data, the file has 12)"},
    {"LFS pointer",
     "version https://git-lfs.github.com/spec/v1\n"
     "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 4976698672\n",
     "a Git LFS pointer, not the file itself (the file has 4976698672 bytes)"},
    {"web page", "<!DOCTYPE html><html><body>Access denied</body></html>", "a web page"},
    {"PyTorch file", "PK\x03\x04" + std::string(60, 'x'), "a zip archive, most likely PyTorch weights"},
    {"GGUF", "GGUF\x03" + std::string(60, 'x'), "a GGUF file"},
};

TEST(Safetensors, NamesWhatIsWrongWithANastyFile) {
  const TemporaryFolder folder;
  for (const auto& row : nasty_files) {
    const auto file = open_file(folder.write("model.safetensors", row.content).string());
    ASSERT_TRUE(file) << row.what;
    const auto header = read_safetensors_header(**file);
    ASSERT_FALSE(header) << row.what;
    EXPECT_EQ(name_of(header.error().tag), "bad_file") << row.what;
    EXPECT_THAT(header.error().message(), HasSubstr(row.message)) << row.what;
    EXPECT_THAT(header.error().message(), HasSubstr("model.safetensors")) << row.what;
  }
}

// Looking each name up by a walk over the others would take minutes here.
TEST(Safetensors, ReadsAHundredThousandTensors) {
  constexpr int count = 100'000;
  std::string text = "{";
  for (int i = 0; i < count; ++i) {
    text += fmt::format(R"({}"model.layers.{}.mlp.experts.{}.w":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}})",
                        i ? "," : "", i / 256, i % 256, i, i + 1);
  }
  const auto header = parse_safetensors_header(text + "}", count, "model.safetensors");
  ASSERT_TRUE(header) << header.error().message();
  EXPECT_EQ(header->entries.size(), size_t{count});
  EXPECT_EQ(header->entries.back().name, "model.layers.390.mlp.experts.159.w");
}

}  // namespace
}  // namespace pippin
