// The specs' decoders against mlx-lm's logits, which tools/record_logits has written into logits.json.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <mlx/device.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>
#include <nlohmann/json.hpp>

#include "ghost/ghost.h"
#include "ghost/temporary_folder.h"
#include "pippin/convert.h"
#include "runtime/fault.h"
#include "runtime/language_model.h"
#include "runtime/operation.h"
#include "spec/decoder_operations.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
namespace mx = mlx::core;
using Json = nlohmann::ordered_json;

const fs::path specs = fs::path(PIPPIN_SOURCE_DIR) / "architectures";  // as they are, not as they were built in
constexpr float tolerance = 1e-5F;                                     // of the largest logit
constexpr float own_tolerance = 1e-4F;                                 // with pippin's own kernels

const Json& records() {
  static const Json all = Json::parse(std::ifstream(fs::path(PIPPIN_SOURCE_DIR) / "tests/runtime/logits.json"));
  return all;
}

// The record's constants instead of the formula's values, and its shapes: {"end of names": value}.
void change_tensors(Json& one, const Json& fills, const Json& shapes) {
  for (Json& tensor : one["source"]) {
    const std::string name = tensor[0];
    for (const auto& [end, shape] : shapes.items()) {
      if (name.ends_with(end)) tensor[2] = shape;
    }
    for (const auto& [end, value] : fills.items()) {
      if (name.ends_with(end)) tensor[3] = Json{{"fill", "const"}, {"value", value}};
    }
  }
}

fs::path write_source(const Json& record, const fs::path& folder) {
  const std::string name = record["case"].get<std::string>() + ".json";
  Json one = read_case(fs::path(PIPPIN_SOURCE_DIR) / "tests/conformance/lm" / name);
  if (record.contains("change")) one["config"].merge_patch(record["change"]);
  change_tensors(one, record.value("fills", Json::object()), record.value("shapes", Json::object()));
  write_ghost(one, folder);
  return folder;
}

fs::path converted(const fs::path& source, const fs::path& destination, const std::string& dtype, int bits = 0) {
  ConvertOptions options;
  options.source = source;
  options.destination = destination;
  options.target = "mlx-lm";
  options.arch = {specs};
  options.dtype = dtype;
  options.threads = 1;
  options.flush = false;
  options.allow_nonfinite = true;
  options.memory = uint64_t{8} << 20;
  if (bits != 0) {
    options.quantize = true;
    options.q_bits = bits;
    options.q_group_size = 32;
  }
  value_or_throw(convert(options));
  return destination;
}

LanguageModel loaded(const fs::path& folder, bool own_kernels = false) {
  LoadOptions options;
  options.own_kernels = own_kernels;
  options.arch = {specs};
  return value_or_throw(LanguageModel::load(folder, options));
}

// The first tokens in one pass, or in passes of so many, the others one by one: float32 [batch, tokens, vocabulary].
mx::array logits_of(const LanguageModel& model, const Json& record, int batch = 1, std::vector<int> passes = {}) {
  const auto ids = record["ids"].get<std::vector<int>>();
  const mx::array all = mx::repeat(mx::array(ids.begin(), {1, static_cast<int>(ids.size())}, mx::int32), batch, 0);
  KvCache cache = model.make_cache();
  if (passes.empty()) passes = record.value("passes", std::vector<int>{record["prompt"].get<int>()});
  std::vector<mx::array> parts;
  for (int at = 0; at < all.shape(1);) {
    const int end = at + (parts.size() < passes.size() ? passes[parts.size()] : 1);
    parts.push_back(value_or_throw(model.forward(mx::slice(all, {0, at}, {batch, end}), cache)));
    mx::eval(parts.back());
    at = end;
  }
  mx::array logits = mx::contiguous(mx::astype(mx::concatenate(parts, 1), mx::float32));
  mx::eval(logits);
  return logits;
}

std::string difference_from_record(const mx::array& logits, const Json& record, float allowed = tolerance) {
  const auto columns = record["columns"].get<std::vector<int>>();
  const auto largest = record["largest"].get<float>();
  allowed = std::max(allowed, record.value("tolerance", 0.0F));
  const int width = logits.shape(2);
  for (int row = 0; row < logits.shape(0) * logits.shape(1); ++row) {
    const Json& expected = record["logits"][static_cast<size_t>(row % logits.shape(1))];
    for (size_t k = 0; k < columns.size(); ++k) {
      const float value = logits.data<float>()[row * width + columns[k]];
      const auto wanted = expected[k].get<float>();
      if (!(std::fabs(value - wanted) <= allowed * largest))
        return fmt::format("token {}, column {}: {} instead of {}", row % logits.shape(1), columns[k], value, wanted);
    }
  }
  return "";
}

// Calls `check` with the record and a source folder for each record that `wanted` says yes to.
template <typename Check>
void for_each_record(bool (*wanted)(const Json&), const Check& check) {
  mx::set_default_device(mx::Device::cpu);
  for (const auto& item : records()["runs"].items()) {
    const std::string& name = item.key();
    const Json& record = item.value();
    if (!wanted(record)) continue;
    const TemporaryFolder work;
    const auto done = guarded(name, [&] {
      const std::string trouble = check(record, write_source(record, work.path() / "source"), work.path() / "mlx");
      EXPECT_EQ(trouble, "") << name;
    });
    if (!done) ADD_FAILURE() << name << ": " << done.error().message();
  }
}

bool is_dense(const Json& record) {
  return !record.contains("bits");
}
bool is_quantized(const Json& record) {
  return record.contains("bits");
}
// Each fourth case as it is, by its name's length.
bool is_sample(const Json& record) {
  const bool plain = !record.contains("bits") && !record.contains("change");
  return plain && record["case"].get_ref<const std::string&>().size() % 4 == 1;
}

// States, latent keys, sums of earlier layers.
bool keeps_more_than_keys(const Json& record) {
  static const std::set<std::string> names{"deepseek_v41", "kimi_k3",    "kimi_k3_flat",
                                           "qwen3_next",   "rwkv7",      "recurrent_gemma",
                                           "mamba2",       "muse_spark", "prism_hadamard_qwen35"};
  return is_dense(record) && names.contains(record["case"].get<std::string>());
}

// In the published precision; MLX's CPU backend has expert layers in float32 alone.
bool is_published_sample(const Json& record) {
  static const std::set<std::string> names{"gemma", "llama", "olmo2", "olmo3", "qwen2", "qwen3"};
  return is_sample(record) && names.contains(record["case"].get<std::string>());
}

TEST(Decoder, gives_the_references_logits) {
  for_each_record(is_dense, [](const Json& record, const fs::path& source, const fs::path& mlx) {
    const fs::path folder = converted(source, mlx, "float32");
    std::string trouble = difference_from_record(logits_of(loaded(folder), record), record);
    if (!trouble.empty()) return trouble;
    return difference_from_record(logits_of(loaded(folder, true), record), record, own_tolerance);
  });
}

TEST(Decoder, gives_the_references_logits_at_four_bits) {
  for_each_record(is_quantized, [](const Json& record, const fs::path& source, const fs::path& mlx) {
    const LanguageModel model = loaded(converted(source, mlx, "float32", record["bits"].get<int>()));
    return difference_from_record(logits_of(model, record), record);
  });
}

TEST(Decoder, gives_each_sequence_of_a_batch_its_logits) {
  for_each_record(is_sample, [](const Json& record, const fs::path& source, const fs::path& mlx) {
    return difference_from_record(logits_of(loaded(converted(source, mlx, "float32")), record, 2), record);
  });
}

TEST(Decoder, takes_a_prompt_in_uneven_pieces) {
  for_each_record(keeps_more_than_keys, [](const Json& record, const fs::path& source, const fs::path& mlx) {
    return difference_from_record(logits_of(loaded(converted(source, mlx, "float32")), record, 1, {7, 1, 5, 11}),
                                  record);
  });
}

TEST(Decoder, runs_published_checkpoints_as_it_runs_the_converted) {
  for_each_record(is_published_sample, [](const Json& record, const fs::path& source, const fs::path& mlx) {
    const mx::array direct = logits_of(loaded(source), record);
    const mx::array through_files = logits_of(loaded(converted(source, mlx, "")), record);
    return mx::array_equal(direct, through_files, true).item<bool>() ? "" : "other logits than the converted model's";
  });
}

TEST(Decoder, knows_the_operations_of_the_spec_language) {
  std::set<std::string> described;
  for (const auto& operation : decoder_operations()) described.insert(operation.name);
  std::set<std::string> implemented;
  for (const auto* table : {&weight_operations(), &shape_operations(), &element_operations(), &attention_operations(),
                            &expert_operations(), &recurrent_operations(), &group_operations()}) {
    for (const auto& [name, maker] : *table) implemented.emplace(name);
  }
  for (const auto& name : described) EXPECT_NE(find_operation(name), nullptr) << name;
  for (const auto& name : described) EXPECT_TRUE(implemented.contains(name)) << name;
}

}  // namespace
}  // namespace pippin
