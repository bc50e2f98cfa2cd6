// The writer of test checkpoints against bytes that its Python twin wrote.
#include "ghost/ghost.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "ghost/temporary_folder.h"
#include "source/safetensors_bytes.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::string_literals;

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const auto byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

std::string file_content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Formula {
  const char* dtype;
  const char* first_bytes;
  const char* sha256;
};

// The tensor "model.norm.weight" of shape [50, 21].
const Formula formulas[] = {
    {"F64", "000000804ce2bcbf", "6ea19eeaa1c3af823a87a603fd2ce05fde13a5e6a5f888588a343cb333f087c9"},
    {"F32", "6412e7bda66fb9bd", "bb116d32b1ed3b3b2f598c88fd8582e6a751a30c5a45d446d3c5d82fdad425d0"},
    {"F16", "39afcbad45a68028", "74b67a3bba0a966d76561fb9fa5dc1951c803e5917e5c0b4bd499fdf0fd5a198"},
    {"BF16", "e7bdb9bdc9bc103d", "e0c70825fdee0d76cf7b9a32abb5376aa5689d0399a4ae82b86e8bd322ef6ed2"},
    {"F8_E4M3", "0c2366a372b9c20d", "23713af0c0a77561be94e9c1eb1761eece624d753ac080efedde37cdd8d3add6"},
    {"F8_E5M2", "0c2366a372b9c20d", "577697054081bb962a12c9be634a4ec4024020703e6ba45d8fafb9a55bad93a4"},
    {"F8_E8M0", "787a7e827f838478", "23289a83df45847fb474e6aa728d013fa9cbf737277973bf1923016742508ecf"},
    {"U8", "0c2366a372b9c20d", "f6fd43c933f74f2dada32efa185a49deea24f1dd794212c2bf35901809c8fe92"},
    {"I8", "0c2366a372b9c20d", "f6fd43c933f74f2dada32efa185a49deea24f1dd794212c2bf35901809c8fe92"},
    {"U16", "760c4823ed66fea3", "5a9c75239e788f0889bedaeed0075ab728680e7ee3b5cd3536e1bf8381bd367f"},
    {"I16", "760c4823ed66fea3", "5a9c75239e788f0889bedaeed0075ab728680e7ee3b5cd3536e1bf8381bd367f"},
    {"U32", "58ce760c692d4823", "6e1451f2d1f26e193c3bde35a28cf7a96dfc0c7af1a8dc2a2a40fe2fa4d8f123"},
    {"I32", "58ce760c692d4823", "6e1451f2d1f26e193c3bde35a28cf7a96dfc0c7af1a8dc2a2a40fe2fa4d8f123"},
    {"U64", "0c00000000000000", "6a079b2f8e6c0d4221f80a74e9aa2499996078616d94188585614a13c55969fc"},
    {"I64", "0c00000000000000", "6a079b2f8e6c0d4221f80a74e9aa2499996078616d94188585614a13c55969fc"},
    {"BOOL", "0000000100010100", "9c20a88ce07ff36b4082661bb6f79ed21d2fddb619795acc0b0402906b632581"},
};

TEST(Ghost, ValuesFollowTheFormula) {
  for (const auto& row : formulas) {
    const auto bytes = tensor_bytes("model.norm.weight", row.dtype, {50, 21});
    EXPECT_EQ(hex(std::span(bytes).first(8)), row.first_bytes) << row.dtype;
    EXPECT_EQ(sha256(bytes), row.sha256) << row.dtype;
  }
}

struct Fill {
  const char* dtype;
  const char* fill;
  const char* bytes;  // of six elements
};

const Fill fills[] = {
    {"BF16", R"({"fill": "const", "value": 1e-06})", "863586358635863586358635"},
    {"BF16", R"({"fill": "const", "value": 257})", "804380438043804380438043"},
    {"BF16", R"({"fill": "const", "value": 259})", "824382438243824382438243"},
    {"F16", R"({"fill": "const", "value": 0.1})", "662e662e662e662e662e662e"},
    {"F16", R"({"fill": "const", "value": 65519.0})", "ff7bff7bff7bff7bff7bff7b"},
    {"F16", R"({"fill": "const", "value": 65520.0})", "007c007c007c007c007c007c"},
    {"F16", R"({"fill": "const", "value": -3e-06})", "328032803280328032803280"},
    {"F16", R"({"fill": "const", "value": 2049})", "006800680068006800680068"},
    {"F32", R"({"fill": "const", "value": 0.0078125})", "0000003c0000003c0000003c0000003c0000003c0000003c"},
    {"U8", R"({"fill": "const", "value": 200})", "c8c8c8c8c8c8"},
    {"BOOL", R"({"fill": "const", "value": 2})", "010101010101"},
    {"I32", R"({"fill": "range", "div": 2})", "000000000000000001000000010000000200000002000000"},
    {"I64", R"({"fill": "const", "value": -64})",
     "c0ffffffffffffffc0ffffffffffffffc0ffffffffffffffc0ffffffffffffffc0ffffffffffffffc0ffffffffffffff"},
    {"U8", R"({"fill": "range", "mod": 3})", "000102000102"},
    {"BF16", R"({"fill": "range", "div": 2, "mod": 3})", "00000000803f803f00400040"},
    {"F16", R"({"fill": "range", "div": 1, "mod": 1000})", "0000003c0040004200440045"},
};

TEST(Ghost, FillsAreCastToTheDtype) {
  for (const auto& row : fills) {
    EXPECT_EQ(hex(tensor_bytes("w", row.dtype, {2, 3}, Json::parse(row.fill))), row.bytes) << row.dtype << row.fill;
  }
}

TEST(Ghost, WritesFilesByteForByte) {
  const TemporaryFolder folder;
  write_ghost(Json::parse(R"({
    "config": {"model_type": "llama", "rms": 1e-06},
    "shards": 2,
    "files": {"generation_config.json": {"eos_token_id": 2}, "sub/notes.txt": "hello"},
    "source": [
      ["a", "F32", [2]],
      ["é\n", "BF16", []],
      ["c", "U8", [0, 4]],
      ["d", "I64", [3], {"fill": "range"}],
      ["e", "F16", [2, 2], {"file": "consolidated.safetensors"}]
    ]
  })"),
              folder.path() / "ghost");
  const auto content = [&](const char* name) { return file_content(folder.path() / "ghost" / name); };
  EXPECT_EQ(content("config.json"), "{\n  \"model_type\": \"llama\",\n  \"rms\": 1e-06\n}");
  EXPECT_EQ(content("generation_config.json"), "{\n  \"eos_token_id\": 2\n}");
  EXPECT_EQ(content("sub/notes.txt"), "hello");
  EXPECT_EQ(
      content("model-00001-of-00002.safetensors"),
      safetensors_bytes(R"({"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2], "data_offsets": )"
                        R"([0, 8]}, "\u00e9\n": {"dtype": "BF16", "shape": [], "data_offsets": [8, 10]}, )"
                        R"("c": {"dtype": "U8", "shape": [0, 4], "data_offsets": [10, 10]}}   )",
                        "\xf8X\x03\xbd\xe2\t\xff=\x83\xbd"));
  EXPECT_EQ(
      content("model-00002-of-00002.safetensors"),
      safetensors_bytes(R"({"__metadata__": {"format": "pt"}, "d": {"dtype": "I64", "shape": [3], "data_offsets": )"
                        R"([0, 24]}})",
                        "\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"s));
  EXPECT_EQ(content("consolidated.safetensors"),
            safetensors_bytes(R"({"__metadata__": {"format": "pt"}, "e": {"dtype": "F16", "shape": [2, 2], )"
                              R"("data_offsets": [0, 8]}}      )",
                              "?/\0\xa0>\xac\x44$"s));
  EXPECT_EQ(content("model.safetensors.index.json"), R"({
  "metadata": {
    "total_size": 42
  },
  "weight_map": {
    "a": "model-00001-of-00002.safetensors",
    "\u00e9\n": "model-00001-of-00002.safetensors",
    "c": "model-00001-of-00002.safetensors",
    "d": "model-00002-of-00002.safetensors",
    "e": "consolidated.safetensors"
  }
})");
}

// Larger than the pieces in which values are written.
TEST(Ghost, PiecesMakeTheWholeTensor) {
  const TemporaryFolder folder;
  write_ghost(Json::parse(R"({"config": {}, "source": [["w", "F32", [700, 1001]]]})"), folder.path());
  const std::string file = file_content(folder.path() / "model.safetensors");
  const auto bytes = tensor_bytes("w", "F32", {700, 1001});
  ASSERT_GT(file.size(), bytes.size());
  EXPECT_EQ(sha256(std::as_bytes(std::span(file)).last(bytes.size())), sha256(bytes));
}

TEST(Ghost, DigestOfAFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(sha256_of_file(folder.write("abc", "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Ghost, UnknownDtypesAndFillsThrow) {
  EXPECT_ANY_THROW(tensor_bytes("w", "F12", {1}));
  EXPECT_ANY_THROW(tensor_bytes("w", "U8", {1}, Json::parse(R"({"fill": "noise"})")));
}

}  // namespace
}  // namespace pippin
