#include "pippin/prompt_cache.h"

#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <unordered_map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mlx/io.h>
#include <mlx/ops.h>
#include <unistd.h>

#include "generate/example_model.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
namespace mx = mlx::core;
using Arrays = std::unordered_map<std::string, mx::array>;
using Texts = std::unordered_map<std::string, std::string>;

constexpr const char* noah = "And God said unto Noah, The end of all flesh is come before me;";

class PromptCaches : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    file_ = fs::path(testing::TempDir()) / (std::to_string(getpid()) + test->name() + ".safetensors");
  }
  void TearDown() override { fs::remove(file_); }

  static PromptCache made(const GenerateOptions& options = {}) {
    auto cache = PromptCache::of(example_model(), plain(noah), options);
    if (!cache) throw std::runtime_error(cache.error().message());
    return std::move(*cache);
  }

  void save(const PromptCache& cache) const {
    const auto path = cache.save(file_, "example");
    ASSERT_TRUE(path) << path.error().message();
    EXPECT_EQ(*path, file_);
  }

  [[nodiscard]] Result<PromptCache> open(const GenerateOptions& options = {},
                                         const std::string& name = "example") const {
    return PromptCache::open(example_model(), file_, name, options);
  }

  // "tag: rule" of opening, or "fine".
  [[nodiscard]] std::string fate(const GenerateOptions& options = {}, const std::string& name = "example") const {
    const auto cache = open(options, name);
    return cache ? "fine" : std::string(name_of(cache.error().tag)) + ": " + cache.error().rule;
  }

  static std::vector<int32_t> answer(const PromptCache& cache, int tokens = 12) {
    Prompt prompt = plain(" for the earth");
    const auto result = cache.stream(prompt, up_to(tokens));
    if (!result) throw std::runtime_error(result.error().message());
    return result->ids;
  }

  // Changes the file's arrays and metadata.
  void change(const std::function<void(Arrays&, Texts&)>& f) const {
    auto [arrays, texts] = mx::load_safetensors(file_.string());
    for (auto& [name, array] : arrays) array.eval();
    f(arrays, texts);
    mx::save_safetensors(file_.string(), arrays, texts);
  }

  fs::path file_;
};

TEST_F(PromptCaches, AnswerAsTheWholePrompt) {
  const PromptCache cache = made();
  Prompt prompt;
  prompt.ids = {300, 301};
  const auto cached = cache.stream(prompt, up_to(12));
  ASSERT_TRUE(cached) << cached.error().message();
  EXPECT_EQ(cached->cached_tokens, cache.tokens());
  EXPECT_EQ(cached->prompt_tokens, 2);
  EXPECT_EQ(cache.stream(prompt, up_to(12))->ids, cached->ids);
}

TEST_F(PromptCaches, ComeBackFromAFile) {
  for (const int kind : {0, 1, 2}) {
    GenerateOptions options;
    if (kind == 1) options.max_kv_size = 8;
    if (kind == 2) {
      options.kv_bits = 4;
      options.quantized_kv_start = 3;
    }
    const PromptCache cache = made(options);
    save(cache);
    const auto back = open();
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(back->tokens(), cache.tokens());
    EXPECT_EQ(answer(*back), answer(cache)) << kind;
  }
}

TEST_F(PromptCaches, BelongToTheWeights) {
  save(made());
  EXPECT_EQ(fate({}, "another name"), "fine");
  change([](Arrays&, Texts& texts) { texts["0.mark"] = "0123456789abcdef"; });
  EXPECT_EQ(fate(), "mismatch: a prompt cache belongs to the model");
  change([](Arrays&, Texts& texts) { texts.erase("0.mark"); });
  EXPECT_EQ(fate({}, "another name"), "mismatch: a prompt cache belongs to the model");
  EXPECT_EQ(fate({}, "example"), "fine");
}

TEST_F(PromptCaches, OptionsDoNotContradictTheFile) {
  GenerateOptions options;
  options.kv_bits = 4;
  options.quantized_kv_start = 0;
  save(made(options));
  EXPECT_EQ(fate(options), "fine");
  options.kv_bits = 8;
  EXPECT_EQ(fate(options), "usage: kv-bits is that of the prompt cache");
  options.kv_bits = 4;
  options.kv_group_size = 32;
  EXPECT_EQ(fate(options), "usage: kv-group-size is that of the prompt cache");
  GenerateOptions limited;
  limited.max_kv_size = 8;
  save(made(limited));
  limited.max_kv_size = 16;
  EXPECT_EQ(fate(limited), "usage: max-kv-size is that of the prompt cache");
}

TEST_F(PromptCaches, MlxLmHasNoQuantizedRings) {
  GenerateOptions options;
  options.kv_bits = 4;
  options.max_kv_size = 8;
  const auto cache = PromptCache::of(example_model(), plain(noah), options);
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().tag, ErrorTag::unsupported);
}

// Each a way in which a file may be broken, or meant to break.
TEST_F(PromptCaches, BrokenFiles) {
  const std::string broken = "bad_file: a prompt cache has the state of every layer";
  const std::string shapes = "mismatch: a prompt cache has the shapes of the model";
  const struct {
    const char* name;
    std::function<void(Arrays&, Texts&)> change;
    std::string fate;
  } rows[] = {
      {"no keys", [](auto& a, auto&) { a.erase("0.0"); }, broken},
      {"no offset", [](auto& a, auto&) { a.erase("1.2"); }, broken},
      {"negative offset", [](auto& a, auto&) { a.insert_or_assign("1.2", mx::array(-1)); }, broken},
      {"an offset beyond the keys", [](auto& a, auto&) { a.insert_or_assign("1.2", mx::array(1 << 29)); }, broken},
      {"an offset of no tokens", [](auto& a, auto&) { a.insert_or_assign("1.2", mx::array(0)); }, broken},
      {"an offset that is a list", [](auto& a, auto&) { a.insert_or_assign("1.2", mx::zeros({2}, mx::int32)); },
       broken},
      {"three dimensions",
       [](auto& a, auto&) {
         a.insert_or_assign("0.0", mx::zeros({1, 2, 3}));
       },
       broken},
      {"other heads",
       [](auto& a, auto&) {
         a.insert_or_assign("0.0", mx::zeros({1, 1, 40, 64}));
       },
       shapes},
      {"whole numbers as keys", [](auto& a, auto&) { a.insert_or_assign("0.0", mx::astype(a.at("0.0"), mx::int32)); },
       shapes},
      {"another class", [](auto&, auto& t) { t["1.0"] = "ArraysCache"; },
       "unsupported: a prompt cache's layers are of a kind that pippin has"},
      {"a layer too few", [](auto&, auto& t) { t.erase("1.1"); },
       "mismatch: a prompt cache has the layers of the model"},
      {"a layer too many", [](auto&, auto& t) { t["1.3"] = t["1.0"]; },
       "mismatch: a prompt cache has the layers of the model"},
      {"tokens that are none", [](auto&, auto& t) { t["0.tokens"] = "[1, 2]"; },
       "bad_file: a prompt cache is a file that pippin cache-prompt or mlx_lm.cache_prompt wrote"},
      {"no model", [](auto&, auto& t) { t.erase("0.model"); },
       "bad_file: a prompt cache is a file that pippin cache-prompt or mlx_lm.cache_prompt wrote"},
  };
  for (const auto& row : rows) {
    save(made());
    change(row.change);
    EXPECT_EQ(fate(), row.fate) << row.name;
  }
}

TEST_F(PromptCaches, RingsWhosePlaceIsOutside) {
  GenerateOptions options;
  options.max_kv_size = 8;
  for (const char* number : {"0.3", "0.5"}) {
    save(made(options));
    change([&](Arrays& arrays, Texts&) { arrays.insert_or_assign(number, mx::array(1000)); });
    EXPECT_EQ(fate(), "bad_file: a prompt cache has the state of every layer") << number;
  }
}

TEST_F(PromptCaches, ACutFile) {
  save(made());
  fs::resize_file(file_, fs::file_size(file_) - 100);
  EXPECT_THAT(fate(), testing::StartsWith("bad_file: "));
  fs::remove(file_);
  EXPECT_THAT(fate(), testing::StartsWith("not_found: "));
}

}  // namespace
}  // namespace pippin
