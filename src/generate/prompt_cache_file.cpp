#include "generate/prompt_cache_file.h"

#include <algorithm>

#include <fmt/format.h>
#include <mlx/io.h>
#include <mlx/ops.h>

#include "generate/cache_file_content.h"
#include "generate/cache_layout.h"
#include "generate/model_mark.h"
#include "generate/stored_caches.h"
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
Result<CacheOptions> options_of(const StoredCaches& stored, const KvCache& cache, const GenerateOptions& asked) {
  CacheOptions options = cache_options(asked);
  const StoredLayer* first = stored.first_of_attention(cache);
  if (first == nullptr) return options;
  std::optional<int> limit;
  for (const auto& [slot, layer] : stored.layers) {
    if (!cache.layers()[slot].of_attention()) continue;
    const auto window = cache.layers()[slot].window();
    if (layer.bits() != first->bits() || layer.group_size() != first->group_size())
      return fail(ErrorTag::unsupported, "all layers of a prompt cache are quantized alike",
                  "layer " + stored.places[slot]);
    if (!layer.max_size() || (window && layer.keeps_first() == 0 && *layer.max_size() >= *window)) continue;
    if (layer.keeps_first() != 4 || (limit && *limit != *layer.max_size()))
      return fail(ErrorTag::unsupported, "a prompt cache of limited size keeps its first 4 tokens, in all layers alike",
                  fmt::format("layer {}: {} tokens, the first {}", stored.places[slot], *layer.max_size(),
                              layer.keeps_first()));
    limit = layer.max_size();
  }
  if (limit && asked.max_kv_size && *asked.max_kv_size != *limit)
    return contradiction("max-kv-size", *asked.max_kv_size, fmt::format("{}", *limit));
  if (limit) options.max_size = limit;
  const auto bits = first->bits();
  if (!bits) return options;
  if (asked.kv_bits && *asked.kv_bits != *bits)
    return contradiction("kv-bits", *asked.kv_bits, fmt::format("{}", *bits));
  if (asked.kv_bits && asked.kv_group_size != first->group_size())
    return contradiction("kv-group-size", asked.kv_group_size, fmt::format("{}", first->group_size()));
  options.bits = bits;
  options.group_size = first->group_size();
  return options;
}

// What the model's own cache looks like, after any token.
Result<KvCache> sample_cache(const LanguageModel& model, const CacheOptions& options) {
  KvCache sample = model.make_cache(options);
  PIPPIN_CHECK(model.forward(mx::zeros({1, 1}, mx::int32), sample, true));
  return sample;
}

std::vector<std::string> kinds_in(const Json& metadata) {
  std::vector<std::string> kinds;
  while (metadata.contains(fmt::format("1.{}", kinds.size())))
    kinds.push_back(text_at(metadata, fmt::format("1.{}", kinds.size())));
  return kinds;
}

// Of a model without attention only its own files tell how many tokens it has read.
int offset_of(const StoredCaches& stored, const Json& metadata) {
  if (!stored.layers.empty()) return stored.layers.begin()->second.offset();
  const auto list = parse_json(text_at(metadata, "0.tokens"), "tokens");
  return list && list->is_array() && !list->empty() ? static_cast<int>(list->size()) : 1;
}

}  // namespace

Status check_cache_kind(const LanguageModel& model, const GenerateOptions& options) {
  const KvCache cache = model.make_cache();
  const auto any = [&](const auto& is) { return std::any_of(cache.layers().begin(), cache.layers().end(), is); };
  if (any([](const LayerCache& layer) { return layer.kind().use == CacheKind::Use::groups; }))
    return fail(ErrorTag::unsupported, "a prompt cache is of a kind that mlx_lm has",
                model.spec() + " keeps what stands for groups of tokens", "give the whole prompt each time");
  if (!options.kv_bits) return {};
  const auto none = [](const std::string& what) {
    return fail(ErrorTag::unsupported, "a prompt cache is of a kind that mlx_lm has", what, "leave out --kv-bits");
  };
  if (options.max_kv_size ||
      any([](const LayerCache& layer) { return layer.kind().chunk || (layer.of_attention() && layer.window()); }))
    return none("quantized keys of limited number, by max-kv-size or by the model's windows");
  if (any([](const LayerCache& layer) { return layer.kind().values.has_value(); }))
    return none("quantized keys that hold the values");
  const auto layout = cache_layout(cache);
  if (std::any_of(layout.begin(), layout.end(), [](const CacheEntry& entry) { return entry.is_list; }))
    return none("quantized keys in lists of caches");
  return {};
}

Status write_prompt_cache(const fs::path& path, const TokenContext& context, const CacheFileTexts& names) {
  PIPPIN_TRY(const std::string mark, mark_of(context.model()));
  Json settings = Json::object();
  if (!names.eos_token.empty()) settings["eos_token"] = names.eos_token;
  CacheFileContent content;
  content.set_text("0.model", names.model);
  content.set_text("0.tokenizer_config", settings.dump(-1, ' ', false, Json::error_handler_t::replace));
  content.set_text("0.mark", mark);
  content.set_text("0.tokens", Json(context.tokens()).dump());
  content.set_text("2.0", "");
  fs::path beside = path;
  beside += ".partial.safetensors";
  PIPPIN_CHECK(guarded("writing " + path.string(), [&] {
    content.add(context.cache());
    content.save(beside);
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
  PIPPIN_CHECK(check_cache_kind(model, {}));
  const KvCache fresh = model.make_cache();
  PIPPIN_TRY(const StoredCaches stored, guarded("reading " + path.string(), [&] {
               return stored_caches(kinds_in(metadata), mx::load_safetensors(path.string()).first, fresh);
             }));
  PIPPIN_TRY(const CacheOptions options, options_of(stored, fresh, asked));
  CacheOptions now = options;
  const StoredLayer* first = stored.first_of_attention(fresh);
  if (first == nullptr || !first->bits()) now.bits.reset();
  PIPPIN_TRY(const KvCache sample, sample_cache(model, now));
  KvCache cache = model.make_cache(now);
  PIPPIN_CHECK(
      guarded("reading " + path.string(), [&] { restore_all(stored, sample, offset_of(stored, metadata), cache); }));
  PIPPIN_TRY(std::vector<int32_t> tokens, tokens_of_file(metadata, model, cache.offset(), path));
  PIPPIN_TRY(std::string eos_token, eos_of(metadata, path));
  return StoredContext{TokenContext(model, options, std::move(cache), std::move(tokens)), std::move(eos_token)};
}

Result<std::string> model_of_prompt_cache(const fs::path& path) {
  PIPPIN_TRY(const Json metadata, checked_metadata(path));
  return text_at(metadata, "0.model");
}

}  // namespace pippin
