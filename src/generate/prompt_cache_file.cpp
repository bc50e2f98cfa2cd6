#include "generate/prompt_cache_file.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <mlx/io.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "generate/cache_layer_state.h"
#include "generate/model_mark.h"
#include "runtime/fault.h"
#include "source/byte_source.h"
#include "source/json_text.h"
#include "source/quoted_text.h"
#include "source/safetensors.h"

namespace pippin {
namespace {

namespace mx = mlx::core;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Arrays = std::unordered_map<std::string, mx::array>;
using Texts = std::unordered_map<std::string, std::string>;

tl::unexpected<Error> bad(const fs::path& path, const std::string& what) {
  return fail(ErrorTag::bad_file, "a prompt cache is a file that pippin cache-prompt or mlx_lm.cache_prompt wrote",
              printable(path.string()) + ": " + what, "write it again");
}

// MLX trusts a header; this one is checked first.
Result<Json> checked_metadata(const fs::path& path) {
  PIPPIN_TRY(const auto file, open_file(path.string()));
  PIPPIN_TRY(SafetensorsHeader header, read_safetensors_header(*file));
  if (!header.metadata.is_object()) return bad(path, "it has no metadata");
  for (const auto& [key, value] : header.metadata.items()) {
    if (!value.is_string()) return bad(path, "its metadata are no texts");
  }
  if (!header.metadata.contains("0.model") || !header.metadata.contains("1.0"))
    return bad(path, "it does not name its model and its caches");
  return std::move(header.metadata);
}

std::string text_at(const Json& metadata, const std::string& name) {
  const auto found = metadata.find(name);
  return found == metadata.end() ? std::string() : found->get<std::string>();
}

bool same_name(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || fs::equivalent(a, b, error);
}

Status check_model(const Json& metadata, const fs::path& path, const LanguageModel& model, const std::string& name) {
  PIPPIN_TRY(const std::string mark, mark_of(model));
  const std::string theirs = text_at(metadata, "0.mark");
  if (theirs.empty() ? same_name(text_at(metadata, "0.model"), name) : theirs == mark) return {};
  return fail(ErrorTag::mismatch, "a prompt cache belongs to the model",
              fmt::format("{} was made with {}", printable(path.string()), in_quotes(text_at(metadata, "0.model"))),
              "use that model, or write the file again with this one");
}

Result<std::vector<int32_t>> tokens_of_file(const Json& metadata, const LanguageModel& model, int offset,
                                            const fs::path& path) {
  std::vector<int32_t> tokens(static_cast<size_t>(offset), -1);
  if (!metadata.contains("0.tokens")) return tokens;
  PIPPIN_TRY(const Json list, parse_json(text_at(metadata, "0.tokens"), "tokens of " + printable(path.string())));
  const auto is_token = [&](const Json& id) {
    return id.is_number_integer() && id >= -1 && id < model.vocabulary_size();
  };
  if (!list.is_array() || list.size() != tokens.size() || !std::all_of(list.begin(), list.end(), is_token))
    return bad(path, "its tokens are not those of its keys");
  for (size_t k = 0; k < tokens.size(); ++k) tokens[k] = list[k].get<int32_t>();
  return tokens;
}

Result<std::string> eos_of(const Json& metadata, const fs::path& path) {
  const std::string text = text_at(metadata, "0.tokenizer_config");
  if (text.empty()) return std::string();
  PIPPIN_TRY(const Json settings, parse_json(text, "tokenizer_config of " + printable(path.string())));
  const auto found = settings.is_object() ? settings.find("eos_token") : settings.end();
  return found != settings.end() && found->is_string() ? found->get<std::string>() : std::string();
}

tl::unexpected<Error> contradiction(const std::string& option, int asked, const std::string& found) {
  return fail(ErrorTag::usage, option + " is that of the prompt cache",
              fmt::format("{} was asked for, the file has {}", asked, found), "leave it out");
}

// The file's layers decide; options may say the same, or what a plain cache can still become.
Result<CacheOptions> options_of(const std::vector<StoredLayer>& stored, const KvCache& cache,
                                const GenerateOptions& asked) {
  CacheOptions options = cache_options(asked);
  std::optional<int> limit;
  for (size_t slot = 0; slot < stored.size(); ++slot) {
    const StoredLayer& layer = stored[slot];
    const auto window = cache.layers()[slot].window();
    if (layer.bits() != stored[0].bits() || layer.group_size() != stored[0].group_size())
      return fail(ErrorTag::unsupported, "all layers of a prompt cache are quantized alike",
                  fmt::format("layer {}", slot));
    if (!layer.max_size() || (window && layer.keeps_first() == 0 && *layer.max_size() >= *window)) continue;
    if (layer.keeps_first() != 4 || (limit && *limit != *layer.max_size()))
      return fail(ErrorTag::unsupported, "a prompt cache of limited size keeps its first 4 tokens, in all layers alike",
                  fmt::format("layer {}: {} tokens, the first {}", slot, *layer.max_size(), layer.keeps_first()));
    limit = layer.max_size();
  }
  if (limit && asked.max_kv_size && *asked.max_kv_size != *limit)
    return contradiction("max-kv-size", *asked.max_kv_size, fmt::format("{}", *limit));
  if (limit) options.max_size = limit;
  const auto bits = stored[0].bits();
  if (!bits) return options;
  if (asked.kv_bits && *asked.kv_bits != *bits)
    return contradiction("kv-bits", *asked.kv_bits, fmt::format("{}", *bits));
  if (asked.kv_bits && asked.kv_group_size != stored[0].group_size())
    return contradiction("kv-group-size", asked.kv_group_size, fmt::format("{}", stored[0].group_size()));
  options.bits = bits;
  options.group_size = stored[0].group_size();
  return options;
}

// What the model's own cache looks like, after any token.
Result<KvCache> sample_cache(const LanguageModel& model, const CacheOptions& options) {
  KvCache sample = model.make_cache(options);
  PIPPIN_CHECK(model.forward(mx::zeros({1, 1}, mx::int32), sample, true));
  return sample;
}

Result<std::vector<StoredLayer>> stored_layers(const fs::path& path, const Json& metadata, size_t count) {
  return guarded("reading " + path.string(), [&] {
    const Arrays arrays = mx::load_safetensors(path.string()).first;
    std::vector<StoredLayer> layers;
    for (size_t slot = 0; slot < count; ++slot) {
      const std::string kind = text_at(metadata, fmt::format("1.{}", slot));
      if (kind.empty()) break;
      layers.emplace_back(slot, kind, arrays);
    }
    return layers;
  });
}

// Everything that mlx_lm expects, in its names.
void add_layer(size_t slot, const CacheLayerState& state, Arrays& arrays, Texts& texts, size_t& numbers) {
  texts[fmt::format("1.{}", slot)] = state.kind;
  for (const auto& [place, array] : state.arrays) arrays.insert_or_assign(fmt::format("{}.{}", slot, place), array);
  for (const auto& [place, number] : state.numbers) {
    const std::string name = fmt::format("{}.{}", slot, place);
    arrays.insert_or_assign(name, mx::array(number));
    ++numbers;
    texts[fmt::format("2.{}.0", numbers)] = name;
    texts[fmt::format("2.{}.1", numbers)] = "scalar";
  }
}

Status check_attention(const LanguageModel& model, const KvCache& cache) {
  const auto of_attention = [](const LayerCache& layer) { return layer.of_attention(); };
  if (!std::all_of(cache.layers().begin(), cache.layers().end(), of_attention)) {
    return fail(ErrorTag::unsupported, "a prompt cache holds keys and values alone",
                model.spec() + " keeps the state of recurrent layers", "give the whole prompt each time");
  }
  return {};
}

}  // namespace

Status check_cache_kind(const LanguageModel& model, const GenerateOptions& options) {
  const KvCache cache = model.make_cache();
  PIPPIN_CHECK(check_attention(model, cache));
  if (std::any_of(cache.layers().begin(), cache.layers().end(),
                  [](const auto& layer) { return !layer.of_attention(); }))
    return fail(ErrorTag::unsupported, "a prompt cache is of keys and values", "this model keeps a state beside them",
                "give the whole prompt each time");
  const auto has_window = [](const LayerCache& layer) { return layer.window().has_value(); };
  if (options.kv_bits &&
      (options.max_kv_size || std::any_of(cache.layers().begin(), cache.layers().end(), has_window))) {
    return fail(ErrorTag::unsupported, "a prompt cache is of a kind that mlx_lm has",
                "quantized keys of limited number, by max-kv-size or by the model's windows", "leave out --kv-bits");
  }
  return {};
}

Status write_prompt_cache(const fs::path& path, const TokenContext& context, const CacheFileTexts& names) {
  PIPPIN_TRY(const std::string mark, mark_of(context.model()));
  Json settings = Json::object();
  if (!names.eos_token.empty()) settings["eos_token"] = names.eos_token;
  Texts texts{{"0.model", names.model},
              {"0.tokenizer_config", settings.dump(-1, ' ', false, Json::error_handler_t::replace)},
              {"0.mark", mark},
              {"0.tokens", Json(context.tokens()).dump()},
              {"2.0", ""}};
  fs::path beside = path;
  beside += ".partial.safetensors";
  PIPPIN_CHECK(guarded("writing " + path.string(), [&] {
    Arrays arrays;
    size_t numbers = 0;
    for (size_t slot = 0; slot < context.cache().size(); ++slot)
      add_layer(slot, state_of(context.cache().layers()[slot]), arrays, texts, numbers);
    mx::save_safetensors(beside.string(), arrays, texts);
  }));
  std::error_code error;
  fs::rename(beside, path, error);
  if (!error) return {};
  const std::string reason = error.message();
  fs::remove(beside, error);
  return fail(ErrorTag::destination, "the prompt cache can be written", printable(path.string()) + ": " + reason);
}

Result<StoredContext> read_prompt_cache(const fs::path& path, const LanguageModel& model, const std::string& model_name,
                                        const GenerateOptions& asked) {
  PIPPIN_TRY(const Json metadata, checked_metadata(path));
  PIPPIN_CHECK(check_model(metadata, path, model, model_name));
  PIPPIN_CHECK(check_cache_kind(model, GenerateOptions{}));
  const KvCache fresh = model.make_cache();
  PIPPIN_CHECK(check_attention(model, fresh));
  const size_t layers = fresh.size();
  PIPPIN_TRY(const auto stored, stored_layers(path, metadata, layers));
  if (stored.empty() || stored.size() != layers || metadata.contains(fmt::format("1.{}", layers)))
    return fail(ErrorTag::mismatch, "a prompt cache has the layers of the model",
                fmt::format("{} does not have {}", printable(path.string()), layers),
                "use the model that the file was made with");
  PIPPIN_TRY(const CacheOptions options, options_of(stored, model.make_cache(), asked));
  CacheOptions now = options;
  if (!stored[0].bits()) now.bits.reset();
  PIPPIN_TRY(const KvCache sample, sample_cache(model, now));
  KvCache cache = model.make_cache(now);
  PIPPIN_CHECK(guarded("reading " + path.string(), [&] {
    for (size_t slot = 0; slot < layers; ++slot) {
      stored[slot].restore(cache.layer(slot), sample.layers()[slot]);
      if (cache.layer(slot).seen() != cache.offset())
        throw Fault({ErrorTag::bad_file,
                     "all layers of a prompt cache have seen the same tokens",
                     fmt::format("layer {}", slot),
                     "write it again",
                     {}});
    }
    mx::eval(cache.arrays());
  }));
  PIPPIN_TRY(std::vector<int32_t> tokens, tokens_of_file(metadata, model, cache.offset(), path));
  PIPPIN_TRY(std::string eos_token, eos_of(metadata, path));
  return StoredContext{TokenContext(model, options, std::move(cache), std::move(tokens)), std::move(eos_token)};
}

Result<std::string> model_of_prompt_cache(const fs::path& path) {
  PIPPIN_TRY(const Json metadata, checked_metadata(path));
  return text_at(metadata, "0.model");
}

}  // namespace pippin
