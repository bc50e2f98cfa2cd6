// Folders as they lie on disks: what counts as the model, and what each broken one is called.
#include "source/checkpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "ghost/ghost.h"
#include "ghost/temporary_folder.h"
#include "source/safetensors_bytes.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum FileSelection;

constexpr const char* index_name = "model.safetensors.index.json";

// {"a": "x.safetensors"} as an index.
std::string index_of(std::initializer_list<std::pair<const char*, const char*>> rows) {
  nlohmann::ordered_json map = nlohmann::ordered_json::object();
  for (const auto& [tensor, file] : rows) map[tensor] = file;
  return nlohmann::ordered_json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}}.dump();
}

// "name=data" of each tensor, all of U8.
std::vector<std::string> content_of(const Checkpoint& checkpoint) {
  std::vector<std::string> rows;
  for (const auto& tensor : checkpoint.tensors()) {
    std::string data(tensor.size, '?');
    const Status status = checkpoint.read(tensor, 0, std::as_writable_bytes(std::span(data)));
    rows.push_back(tensor.name + "=" + (status ? data : status.error().message()));
  }
  return rows;
}

std::string joined(const std::vector<std::string>& lines) {
  return std::accumulate(lines.begin(), lines.end(), std::string{},
                         [](const auto& all, const auto& line) { return all + line + "\n"; });
}

struct Accepted {
  const char* what;
  FileSelection selection;
  std::function<void(const TemporaryFolder&)> make;
  std::vector<std::string> tensors;
  const char* warning;  // "" : none
};

const Accepted accepted[] = {
    {"single file", mlx_lm, [](auto& f) { f.write("model.safetensors", one_tensor("w", "abc")); }, {"w=abc"}, ""},
    {"shards with index",
     mlx_vlm,
     [](auto& f) {
       f.write("model-00001-of-00002.safetensors", one_tensor("b", "1"));
       f.write("model-00002-of-00002.safetensors", one_tensor("a", "2"));
       f.write(index_name,
               index_of({{"a", "model-00002-of-00002.safetensors"}, {"b", "model-00001-of-00002.safetensors"}}));
     },
     {"a=2", "b=1"},
     ""},
    {"index with byte order mark",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("w", "1"));
       f.write(index_name, "\xEF\xBB\xBF" + index_of({{"w", "model.safetensors"}}));
     },
     {"w=1"},
     ""},
    {"shards without index",
     mlx_lm,
     [](auto& f) {
       f.write("model-00001-of-00002.safetensors", one_tensor("a", "1"));
       f.write("model-00002-of-00002.safetensors", one_tensor("b", "2"));
     },
     {"a=1", "b=2"},
     ""},
    {"shards counted from 0",
     mlx_lm,
     [](auto& f) {
       f.write("model-00000-of-00002.safetensors", one_tensor("a", "1"));
       f.write("model-00001-of-00002.safetensors", one_tensor("b", "2"));
     },
     {"a=1", "b=2"},
     ""},
    {"stale single file beside shards",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "stale"));
       f.write("model-00001-of-00001.safetensors", one_tensor("a", "1"));
       f.write(index_name, index_of({{"a", "model-00001-of-00001.safetensors"}}));
     },
     {"a=1"},
     "left out, as model.safetensors.index.json does not name them: model.safetensors"},
    {"consolidated.safetensors beside the model, mlx_lm",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("consolidated.safetensors", one_tensor("layers.0.a", "1"));
     },
     {"a=1"},
     "left out, as their names are not those of a model's weights: consolidated.safetensors"},
    {"consolidated.safetensors beside the model, mlx_vlm",
     mlx_vlm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("consolidated.safetensors", one_tensor("layers.0.a", "1"));
     },
     {"a=1"},
     "consolidated.safetensors"},
    {"consolidated.safetensors in the index: mlx-lm does not read it",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("consolidated.safetensors", one_tensor("b", "2"));
       f.write(index_name, index_of({{"a", "model.safetensors"}, {"b", "consolidated.safetensors"}}));
     },
     {"a=1"},
     "left out, as mlx-lm does not read them: consolidated.safetensors"},
    {"consolidated.safetensors in the index: mlx-vlm reads it",
     mlx_vlm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("consolidated.safetensors", one_tensor("b", "2"));
       f.write(index_name, index_of({{"a", "model.safetensors"}, {"b", "consolidated.safetensors"}}));
     },
     {"a=1", "b=2"},
     ""},
    {"adapters beside the model",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("adapter_model.safetensors", one_tensor("a.lora_A", "1"));
       f.write("model_adapter.safetensors", one_tensor("a.lora_A", "1"));
     },
     {"a=1"},
     "adapter_model.safetensors, model_adapter.safetensors"},
    {"odd names that the index gives",
     mlx_lm,
     [](auto& f) {
       f.write("layers-0.safetensors", one_tensor("a", "1"));
       f.write("mtp.safetensors", one_tensor("b", "2"));
       f.write("parts/c.safetensors", one_tensor("c", "3"));
       f.write(index_name,
               index_of({{"a", "layers-0.safetensors"}, {"b", "mtp.safetensors"}, {"c", "parts/c.safetensors"}}));
     },
     {"a=1", "b=2", "c=3"},
     ""},
    {"one file of an odd name",
     mlx_lm,
     [](auto& f) { f.write("pytorch_model.safetensors", one_tensor("a", "1")); },
     {"a=1"},
     "the weights are in pytorch_model.safetensors"},
    {"one file of an odd name beside an adapter",
     mlx_lm,
     [](auto& f) {
       f.write("weights.safetensors", one_tensor("a", "1"));
       f.write("adapter_model.safetensors", one_tensor("b", "1"));
     },
     {"a=1"},
     "the weights are in weights.safetensors"},
    {"two files of odd names, mlx_vlm",
     mlx_vlm,
     [](auto& f) {
       f.write("ae.safetensors", one_tensor("a", "1"));
       f.write("flux.safetensors", one_tensor("b", "2"));
     },
     {"a=1", "b=2"},
     ""},
    {"hidden files",
     mlx_vlm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("._model.safetensors", "Mac OS X        ");
       f.write(".git/config", "");
       f.write("onnx/model.safetensors", "not read");
     },
     {"a=1"},
     ""},
    {"links into a cache",
     mlx_lm,
     [](auto& f) {
       f.write("blobs/0a", one_tensor("a", "1"));
       fs::create_symlink("blobs/0a", f.path() / "model.safetensors");
     },
     {"a=1"},
     ""},
    {"index of another cut of the same model",
     mlx_lm,
     [](auto& f) {
       f.write("model-00001-of-00002.safetensors", one_tensor("a", "1"));
       f.write("model-00002-of-00002.safetensors", one_tensor("b", "2"));
       f.write(index_name,
               index_of({{"a", "model-00001-of-00005.safetensors"}, {"b", "model-00005-of-00005.safetensors"}}));
     },
     {"a=1", "b=2"},
     "ignored: model.safetensors.index.json names 2 files that do not exist"},
    {"tensor that the index does not list",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                                      R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                                      "12"));
       f.write(index_name, index_of({{"a", "model.safetensors"}}));
     },
     {"a=1", "b=2"},
     R"("b" not in model.safetensors.index.json, but in a file that it names: kept)"},
    {"tensor in two files, the index decides",
     mlx_lm,
     [](auto& f) {
       f.write("model-1.safetensors", one_tensor("a", "1"));
       f.write("model-2.safetensors", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                                        R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                                        "23"));
       f.write("model-3.safetensors", one_tensor("c", "4"));
       f.write(index_name,
               index_of({{"a", "model-2.safetensors"}, {"b", "model-2.safetensors"}, {"c", "model-3.safetensors"}}));
     },
     {"a=2", "b=3", "c=4"},
     "model-1.safetensors"},
    {"tensor in two files of the index",
     mlx_lm,
     [](auto& f) {
       f.write("model-1.safetensors", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                                        R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                                        "12"));
       f.write("model-2.safetensors", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                                        R"("c":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                                        "34"));
       f.write(index_name,
               index_of({{"a", "model-2.safetensors"}, {"b", "model-1.safetensors"}, {"c", "model-2.safetensors"}}));
     },
     {"a=3", "b=2", "c=4"},
     R"("a" in several files: read from the one that model.safetensors.index.json names)"},
    {"the same tensor twice, same bytes",
     mlx_lm,
     [](auto& f) {
       f.write("model-1.safetensors", one_tensor("a", std::string(3 << 20, 'x')));
       f.write("model-2.safetensors", one_tensor("a", std::string(3 << 20, 'x')));
     },
     {"a=" + std::string(3 << 20, 'x')},
     R"("a" in several files with the same bytes: read once)"},
    {"broken generation_config.json",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("generation_config.json", "{");
     },
     {"a=1"},
     "generation_config.json: ends in the middle"},
    {"config.json with byte order mark",
     mlx_lm,
     [](auto& f) {
       f.write("config.json", "\xEF\xBB\xBF{}");
       f.write("model.safetensors", one_tensor("a", "1"));
     },
     {"a=1"},
     ""},
    {"zero-size tensor and no tensor",
     mlx_lm,
     [](auto& f) {
       f.write("model-1.safetensors", one_tensor("a", ""));
       f.write("model-2.safetensors", safetensors_bytes("{}", ""));
     },
     {"a="},
     ""},
};

TEST(Checkpoint, OpensFoldersAsTheyAre) {
  for (const auto& row : accepted) {
    const TemporaryFolder folder;
    folder.write("config.json", "{}");
    row.make(folder);
    const auto checkpoint = Checkpoint::open(folder.path(), row.selection);
    ASSERT_TRUE(checkpoint) << row.what << ": " << checkpoint.error().message();
    EXPECT_EQ(content_of(*checkpoint), row.tensors) << row.what;
    if (*row.warning == '\0')
      EXPECT_THAT(checkpoint->warnings(), IsEmpty()) << row.what;
    else
      EXPECT_THAT(joined(checkpoint->warnings()), HasSubstr(row.warning)) << row.what;
  }
}

struct Refused {
  const char* what;
  FileSelection selection;
  std::function<void(const TemporaryFolder&)> make;
  ErrorTag tag;
  std::vector<const char*> messages;  // fragments
};

// A folder with the single file model.safetensors and this index.
std::function<void(const TemporaryFolder&)> with_index(std::string index) {
  return [index = std::move(index)](const TemporaryFolder& folder) {
    folder.write("model.safetensors", one_tensor("a", "1"));
    folder.write(index_name, index);
  };
}

std::function<void(const TemporaryFolder&)> with_config(std::string config) {
  return [config = std::move(config)](const TemporaryFolder& folder) {
    folder.write("model.safetensors", one_tensor("a", "1"));
    folder.write("config.json", config);
  };
}

const Refused refused[] = {
    {"no weights", mlx_lm, [](auto&) {}, ErrorTag::not_found, {"holds no weights", "in safetensors format"}},
    {"PyTorch weights only",
     mlx_lm,
     [](auto& f) {
       f.write("pytorch_model.bin", "");
       f.write("consolidated.00.pth", "");
     },
     ErrorTag::not_found,
     {"- consolidated.00.pth", "- pytorch_model.bin", "pippin reads safetensors"}},
    {"GGUF only",
     mlx_vlm,
     [](auto& f) { f.write("model-Q4_K_M.gguf", ""); },
     ErrorTag::not_found,
     {"- model-Q4_K_M.gguf"}},
    {"adapter only",
     mlx_lm,
     [](auto& f) { f.write("adapter_model.safetensors", one_tensor("a", "1")); },
     ErrorTag::not_found,
     {"- adapter_model.safetensors", "merge it into its base model first"}},
    {"adapter only, mlx_vlm",
     mlx_vlm,
     [](auto& f) { f.write("adapters.safetensors", one_tensor("a", "1")); },
     ErrorTag::not_found,
     {"merge it into its base model first"}},
    {"consolidated only",
     mlx_lm,
     [](auto& f) {
       f.write("consolidated-00001-of-00002.safetensors", one_tensor("a", "1"));
       f.write("consolidated.safetensors.index.json", "{}");
     },
     ErrorTag::not_found,
     {"- consolidated-00001-of-00002.safetensors", "the maker's own tensor names"}},
    {"two files of odd names, mlx_lm",
     mlx_lm,
     [](auto& f) {
       f.write("ae.safetensors", one_tensor("a", "1"));
       f.write("flux.safetensors", one_tensor("b", "2"));
     },
     ErrorTag::not_found,
     {"- ae.safetensors", "- flux.safetensors", "name the weights model.safetensors"}},
    {"a pipeline",
     mlx_lm,
     [](auto& f) {
       f.write("unet/diffusion_pytorch_model.safetensors", one_tensor("a", "1"));
       f.write("vae/diffusion_pytorch_model.safetensors", one_tensor("b", "2"));
     },
     ErrorTag::not_found,
     {"give one of its folders that hold weights: unet, vae"}},

    {"shard missing, no index",
     mlx_lm,
     [](auto& f) { f.write("model-00001-of-00003.safetensors", one_tensor("a", "1")); },
     ErrorTag::not_found,
     {"2 of 3 files are missing", "- model-00002-of-00003.safetensors", "- model-00003-of-00003.safetensors"}},
    {"shard missing, with index",
     mlx_lm,
     [](auto& f) {
       f.write("model-00001-of-00002.safetensors", one_tensor("a", "1"));
       f.write(index_name,
               index_of({{"a", "model-00001-of-00002.safetensors"}, {"b", "model-00002-of-00002.safetensors"}}));
     },
     ErrorTag::not_found,
     {"1 of the 2 files", "- model-00002-of-00002.safetensors"}},
    {"index of another model",
     mlx_vlm,
     [](auto& f) {
       f.write("model-00001-of-00001.safetensors", one_tensor("a", "1"));
       f.write(index_name,
               index_of({{"a", "model-00001-of-00002.safetensors"}, {"b", "model-00002-of-00002.safetensors"}}));
     },
     ErrorTag::not_found,
     {"2 of the 2 files that model.safetensors.index.json names are missing; the folder holds "
      "model-00001-of-00001.safetensors",
      "the index that belongs to the files"}},
    {"index and nothing else",
     mlx_lm,
     [](auto& f) {
       f.write(index_name, index_of({{"a", "model.safetensors"}}));
     },
     ErrorTag::not_found,
     {"1 of the 1 files", "- model.safetensors"}},
    {"shard is a link to nothing",
     mlx_lm,
     [](auto& f) {
       fs::create_symlink("../blobs/0a", f.path() / "model.safetensors");
       f.write(index_name, index_of({{"a", "model.safetensors"}}));
     },
     ErrorTag::not_found,
     {"model.safetensors links to ../blobs/0a, which is missing", "the download is incomplete"}},
    {"tensor missing from its shard",
     mlx_lm,
     with_index(index_of({{"a", "model.safetensors"}, {"b", "model.safetensors"}})),
     ErrorTag::mismatch,
     {"1 of 2 tensors elsewhere or nowhere", R"(- "b" is not in model.safetensors)"}},
    {"tensor in another shard than the index says",
     mlx_lm,
     [](auto& f) {
       f.write("model-1.safetensors", one_tensor("a", "1"));
       f.write("model-2.safetensors", one_tensor("b", "2"));
       f.write(index_name, index_of({{"a", "model-2.safetensors"}, {"b", "model-1.safetensors"}}));
     },
     ErrorTag::mismatch,
     {R"(- "a" is not in model-2.safetensors, but in model-1.safetensors)", "remove the index"}},
    {"tensor in two shards, different bytes",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", std::string(3 << 20, 'x')));
       f.write("model-00001-of-00001.safetensors", one_tensor("a", std::string(3 << 20, 'x').append(1, 'y').substr(1)));
     },
     ErrorTag::mismatch,
     {R"("a" differs between model-00001-of-00001.safetensors and model.safetensors)"}},
    {"tensor in two shards, different shapes",
     mlx_vlm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("other.safetensors", one_tensor("a", "12"));
     },
     ErrorTag::mismatch,
     {R"("a" differs between model.safetensors and other.safetensors)"}},
    {"shard cut short",
     mlx_lm,
     [](auto& f) {
       const std::string whole = one_tensor("a", "0123456789");
       f.write("model.safetensors", whole.substr(0, whole.size() - 4));
     },
     ErrorTag::bad_file,
     {R"(model.safetensors: "a" ends at byte 10 of the data, the file has 6)"}},
    {"LFS pointer",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 99\n");
     },
     ErrorTag::bad_file,
     {"model.safetensors is a Git LFS pointer", "git lfs pull"}},
    {"shard is a folder",
     mlx_lm,
     [](auto& f) { f.write("model.safetensors/x", ""); },
     ErrorTag::bad_file,
     {"is a folder"}},

    {"index not JSON", mlx_lm, with_index("{"), ErrorTag::bad_file, {"the index is JSON text", "remove it if"}},
    {"index empty", mlx_lm, with_index(""), ErrorTag::bad_file, {"the index is JSON text"}},
    {"index an array", mlx_lm, with_index("[]"), ErrorTag::bad_file, {"the index is a JSON object"}},
    {"index without weight_map", mlx_lm, with_index("{}"), ErrorTag::bad_file, {"the index has an object weight_map"}},
    {"weight_map an array", mlx_lm, with_index(R"({"weight_map":[]})"), ErrorTag::bad_file, {"an object weight_map"}},
    {"weight_map empty", mlx_lm, with_index(R"({"weight_map":{}})"), ErrorTag::bad_file, {"weight_map is empty"}},
    {"weight_map with a number",
     mlx_lm,
     with_index(R"({"weight_map":{"a":1}})"),
     ErrorTag::bad_file,
     {R"(the value of "a" is no string)"}},
    {"weight_map gives a tensor two files",
     mlx_lm,
     with_index(R"({"weight_map":{"a":"model.safetensors","a":"other.safetensors"}})"),
     ErrorTag::bad_file,
     {R"("a" lies in)", "other.safetensors"}},
    {"index an LFS pointer",
     mlx_lm,
     with_index("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 99\n"),
     ErrorTag::bad_file,
     {"index.json is a Git LFS pointer"}},
    {"missing file with a terminal escape in its name",
     mlx_lm,
     with_index(R"({"weight_map":{"a":"model.safetensors","b":"\u001b[2J"}})"),
     ErrorTag::not_found,
     {R"(- \x1b[2J)"}},
    {"path to the parent",
     mlx_lm,
     with_index(index_of({{"a", "../model.safetensors"}})),
     ErrorTag::bad_file,
     {R"("a" lies in "../model.safetensors")", "the files of an index lie in its folder"}},
    {"path to the parent in the middle",
     mlx_lm,
     with_index(index_of({{"a", "x/../../model.safetensors"}})),
     ErrorTag::bad_file,
     {"lie in its folder"}},
    {"absolute path",
     mlx_lm,
     with_index(index_of({{"a", "/etc/passwd"}})),
     ErrorTag::bad_file,
     {R"("a" lies in "/etc/passwd")"}},
    {"backslashes",
     mlx_lm,
     with_index(index_of({{"a", "..\\model.safetensors"}})),
     ErrorTag::bad_file,
     {"lie in its folder"}},
    {"the folder itself", mlx_lm, with_index(index_of({{"a", "."}})), ErrorTag::bad_file, {"lie in its folder"}},
    {"a path that ends with a slash",
     mlx_lm,
     with_index(index_of({{"a", "x/"}})),
     ErrorTag::bad_file,
     {"lie in its folder"}},
    {"no name", mlx_lm, with_index(index_of({{"a", ""}})), ErrorTag::bad_file, {"lie in its folder"}},
    {"zero byte in a name",
     mlx_lm,
     with_index(R"({"weight_map":{"a":"model.safetensors\u0000"}})"),
     ErrorTag::bad_file,
     {"lie in its folder"}},

    {"config.json empty", mlx_lm, with_config(""), ErrorTag::bad_file, {"config.json: empty"}},
    {"config.json cut",
     mlx_lm,
     with_config(R"({"model_type": "lla)"),
     ErrorTag::bad_file,
     {"config.json: ends in the middle"}},
    {"config.json an array", mlx_lm, with_config("[]"), ErrorTag::bad_config, {"config.json is of type array"}},
    {"config.json null", mlx_lm, with_config("null"), ErrorTag::bad_config, {"config.json is of type null"}},
    {"config.json an LFS pointer",
     mlx_lm,
     with_config("version https://git-lfs.github.com/spec/v1\n"),
     ErrorTag::bad_file,
     {"config.json is a Git LFS pointer"}},
    {"broken hf_quant_config.json",
     mlx_lm,
     [](auto& f) {
       f.write("model.safetensors", one_tensor("a", "1"));
       f.write("hf_quant_config.json", "{");
     },
     ErrorTag::bad_file,
     {"hf_quant_config.json: ends in the middle"}},
};

TEST(Checkpoint, NamesWhatIsWrongWithAFolder) {
  for (const auto& row : refused) {
    const TemporaryFolder folder;
    folder.write("config.json", "{}");
    row.make(folder);
    const auto checkpoint = Checkpoint::open(folder.path(), row.selection);
    ASSERT_FALSE(checkpoint) << row.what;
    EXPECT_EQ(name_of(checkpoint.error().tag), name_of(row.tag)) << row.what;
    for (const char* message : row.messages) EXPECT_THAT(checkpoint.error().message(), HasSubstr(message)) << row.what;
    EXPECT_FALSE(checkpoint.error().way_out.empty()) << row.what;
  }
}

TEST(Checkpoint, FolderMissingOrAFile) {
  const TemporaryFolder folder;
  const auto missing = Checkpoint::open(folder.path() / "nowhere", mlx_lm);
  ASSERT_FALSE(missing);
  EXPECT_EQ(name_of(missing.error().tag), "not_found");
  EXPECT_THAT(missing.error().message(), HasSubstr("nowhere does not exist"));

  const auto file = Checkpoint::open(folder.write("model.safetensors", one_tensor("a", "1")), mlx_lm);
  ASSERT_FALSE(file);
  EXPECT_EQ(name_of(file.error().tag), "usage");
  EXPECT_THAT(file.error().message(), HasSubstr("give its folder: " + folder.path().string()));
}

TEST(Checkpoint, FolderWithoutConfigSaysWhatItMightBe) {
  struct Row {
    const char* file;
    const char* way_out;
  };
  for (const Row& row :
       {Row{"model.safetensors", "give the folder of a model"}, Row{"params.json", "the maker's own layout"},
        Row{"adapter_config.json", "this is an adapter"}, Row{"model_index.json", "a pipeline of several models"},
        Row{"snapshots/0a/config.json", "the folder below snapshots/"}}) {
    const TemporaryFolder folder;
    folder.write(row.file, "");
    const auto checkpoint = Checkpoint::open(folder.path(), mlx_lm);
    ASSERT_FALSE(checkpoint) << row.file;
    EXPECT_EQ(name_of(checkpoint.error().tag), "not_found") << row.file;
    EXPECT_THAT(checkpoint.error().message(), HasSubstr("config.json")) << row.file;
    EXPECT_THAT(checkpoint.error().way_out, HasSubstr(row.way_out)) << row.file;
  }
}

// With or without a config.json of its own.
TEST(Checkpoint, APipelineOfSeveralModelsIsExplained) {
  for (const bool with_config : {false, true}) {
    const TemporaryFolder folder;
    if (with_config) folder.write("config.json", R"({"model_type": "qwen2_5_vl"})");
    folder.write("model_index.json",
                 R"({"_class_name": "SomePipeline", "_diffusers_version": "0.36", "vae": ["diffusers", "AutoencoderKL"],
                     "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"], "safety": [null, null]})");
    for (const auto& error :
         {Checkpoint::open(folder.path(), mlx_lm).error(), Checkpoint::read_config(folder.path()).error()}) {
      EXPECT_EQ(name_of(error.tag), "unsupported");
      EXPECT_THAT(error.value, HasSubstr("(SomePipeline): vae (AutoencoderKL), text_encoder (Qwen2_5_VL"));
      EXPECT_THAT(error.way_out, HasSubstr("give the folder of one of them"));
    }
  }
}

TEST(Checkpoint, AModelIndexWithoutComponentsSaysNothing) {
  for (const char* text : {"", "[1]", R"({"_class_name": "X"})", R"({"a": ["b"], "c": [1, 2], "d": [null, null]})"}) {
    const TemporaryFolder folder;
    folder.write("config.json", "{}");
    folder.write("model_index.json", text);
    EXPECT_TRUE(Checkpoint::read_config(folder.path())) << text;
  }
}

TEST(Checkpoint, ReadsAPartOfTheConfigFromItsFile) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  folder.write("encoder/config.json", R"({"hidden_size": 4})");
  folder.write("broken/config.json", "[]");
  folder.write("model.safetensors", one_tensor("a", "1"));
  const auto checkpoint = Checkpoint::open(folder.path(), mlx_lm);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message();
  EXPECT_EQ(checkpoint->read_part("encoder/config.json")->dump(), R"({"hidden_size":4})");
  EXPECT_EQ(name_of(checkpoint->read_part("missing/config.json").error().tag), "not_found");
  EXPECT_EQ(name_of(checkpoint->read_part("broken/config.json").error().tag), "bad_config");
}

TEST(Checkpoint, KeepsConfigsAndMetadata) {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"b": Infinity, "a": 1})");
  folder.write("generation_config.json", R"({"eos_token_id": [1, 2]})");
  folder.write("hf_quant_config.json", R"({"producer": {"name": "modelopt"}})");
  folder.write("model-1.safetensors", safetensors_bytes(R"({"__metadata__":{"format":"pt"}})", ""));
  folder.write("model-2.safetensors", safetensors_bytes("{}", ""));
  const auto checkpoint = Checkpoint::open(folder.path(), mlx_lm);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message();
  EXPECT_EQ(checkpoint->config().dump(), R"({"b":{"__float__":"Infinity"},"a":1})");
  EXPECT_EQ(checkpoint->generation_config().dump(), R"({"eos_token_id":[1,2]})");
  EXPECT_EQ(checkpoint->hf_quant_config().dump(), R"({"producer":{"name":"modelopt"}})");
  ASSERT_EQ(checkpoint->metadata().size(), 2U);
  EXPECT_EQ(checkpoint->metadata()[0].dump(), R"({"format":"pt"})");
  EXPECT_TRUE(checkpoint->metadata()[1].is_null());
}

TEST(Checkpoint, ReadsPartsOfATensor) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors", one_tensor("a", "0123456789"));
  const auto checkpoint = Checkpoint::open(folder.path(), mlx_lm);
  ASSERT_TRUE(checkpoint);
  const TensorInfo* tensor = checkpoint->find("a");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(checkpoint->find("b"), nullptr);
  EXPECT_EQ(checkpoint->find(""), nullptr);

  std::string part(4, '?');
  ASSERT_TRUE(checkpoint->read(*tensor, 3, std::as_writable_bytes(std::span(part))));
  EXPECT_EQ(part, "3456");
  const Status beyond = checkpoint->read(*tensor, 7, std::as_writable_bytes(std::span(part)));
  ASSERT_FALSE(beyond);
  EXPECT_THAT(beyond.error().message(), HasSubstr(R"("a": 4 bytes from 7 of 10)"));
}

TEST(Checkpoint, Opens72BOfHoles) {
  const TemporaryFolder folder;
  std::vector<SparseTensor> tensors{{"model.embed_tokens.weight", "BF16", {152064, 8192}}};
  for (int layer = 0; layer < 80; ++layer) {
    for (const char* name : {"gate_proj", "up_proj", "down_proj"}) {
      tensors.push_back({fmt::format("model.layers.{}.mlp.{}.weight", layer, name), "BF16", {29568, 8192}});
    }
  }
  write_sparse({{"model_type", "qwen2"}}, tensors, folder.path());
  const auto checkpoint = Checkpoint::open(folder.path(), mlx_lm);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message();
  EXPECT_EQ(checkpoint->tensors().size(), 241U);
  EXPECT_EQ(checkpoint->files().size(), 25U);
  EXPECT_EQ(checkpoint->find("model.layers.79.mlp.down_proj.weight")->size, 29568U * 8192 * 2);
  EXPECT_THAT(checkpoint->warnings(), IsEmpty());
}

// More shards than a process may have open files, on systems that allow 256.
TEST(Checkpoint, Opens400Shards) {
  const TemporaryFolder folder;
  std::vector<SparseTensor> tensors;
  for (int i = 0; i < 400; ++i) tensors.push_back({fmt::format("t{}", 1000 + i), "U8", {100}});
  write_sparse({{"model_type", "x"}}, tensors, folder.path(), 100);
  const auto checkpoint = Checkpoint::open(folder.path(), mlx_lm);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message();
  EXPECT_EQ(checkpoint->files().size(), 400U);
  EXPECT_EQ(checkpoint->tensors().back().name, "t1399");
}

}  // namespace
}  // namespace pippin
