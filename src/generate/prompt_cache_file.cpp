#include "generate/prompt_cache_file.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include <fmt/format.h>
#include <mlx/io.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "generate/cache_layer_state.h"
#include "generate/cache_layout.h"
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
using Arrays = CacheArrays;
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

// Of a file: its arrays, and the keys and values of the slots that have some.
struct StoredCaches {
  std::vector<std::string> places;  // of each slot; with several slots at one, arrays of one class
  std::map<size_t, StoredLayer> layers;
  Arrays arrays;

  [[nodiscard]] const StoredLayer* first_of_attention(const KvCache& cache) const {
    for (const auto& [slot, layer] : layers) {
      if (cache.layers()[slot].of_attention()) return &layer;
    }
    return nullptr;
  }
};

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

[[noreturn]] void other_layers(const fs::path& path, const std::string& found) {
  throw Fault({ErrorTag::mismatch,
               "a prompt cache has the layers of the model",
               printable(path.string()) + ": " + found,
               "use the model that the file was made with",
               {}});
}

// A text is an array of its characters' numbers.
std::string text_in(const Arrays& arrays, const std::string& name) {
  const auto found = arrays.find(name);
  if (found == arrays.end() || found->second.ndim() != 1 || found->second.size() > 64) return {};
  mx::array codes = mx::contiguous(mx::astype(found->second, mx::int32));
  codes.eval();
  std::string text;
  for (size_t k = 0; k < codes.size(); ++k) text += static_cast<char>(codes.data<int32_t>()[k]);
  return text;
}

void store_part(const CachePart& part, const std::string& place, const std::string& kind, StoredCaches& stored,
                const fs::path& path) {
  if (part.is_arrays && kind != "ArraysCache") other_layers(path, place + " is " + in_quotes(kind));
  for (const size_t slot : part.slots) stored.places[slot] = place;
  if (!part.is_arrays) stored.layers.emplace(part.slots[0], StoredLayer(place, kind, stored.arrays));
}

Result<StoredCaches> stored_caches(const fs::path& path, const Json& metadata, const KvCache& cache) {
  return guarded("reading " + path.string(), [&] {
    StoredCaches stored{std::vector<std::string>(cache.size()), {}, mx::load_safetensors(path.string()).first};
    const std::vector<CacheEntry> layout = cache_layout(cache);
    for (size_t k = 0; k < layout.size(); ++k) {
      const std::string kind = text_at(metadata, fmt::format("1.{}", k));
      if (kind.empty()) other_layers(path, fmt::format("{} instead of {}", k, layout.size()));
      if (!layout[k].is_list) {
        store_part(layout[k].parts[0], fmt::format("{}", k), kind, stored, path);
        continue;
      }
      if (kind != "CacheList") other_layers(path, fmt::format("{} is {}", k, in_quotes(kind)));
      for (size_t j = 0; j < layout[k].parts.size(); ++j) {
        const std::string inner = text_in(stored.arrays, fmt::format("{}.{}.1", k, j));
        store_part(layout[k].parts[j], fmt::format("{}.{}.0", k, j), inner, stored, path);
      }
    }
    if (metadata.contains(fmt::format("1.{}", layout.size())))
      other_layers(path, fmt::format("more than {}", layout.size()));
    return stored;
  });
}

// Everything that mlx_lm expects, in its names.
class FileContent {
 public:
  void set_text(const std::string& name, const std::string& text) { texts_[name] = text; }
  void set_kind(size_t entry, const std::string& kind) { texts_[fmt::format("1.{}", entry)] = kind; }

  void add(const std::string& place, const CacheLayerState& state) {
    for (const auto& [name, array] : state.arrays) arrays_.insert_or_assign(place + "." + name, array);
    for (const auto& [name, number] : state.numbers) add_special(place + "." + name, mx::array(number), "scalar");
    for (const auto& name : state.nothings) add_special(place + "." + name, mx::zeros({0}), "none");
  }
  void add_name(const std::string& place, const std::string& name) {
    add_special(place, mx::array(name.begin(), {static_cast<int>(name.size())}, mx::int32), "string");
  }
  void save(const fs::path& path) const { mx::save_safetensors(path.string(), arrays_, texts_); }

 private:
  // What Python has as something else than an array.
  void add_special(const std::string& name, const mx::array& array, const char* type) {
    arrays_.insert_or_assign(name, array);
    ++specials_;
    texts_[fmt::format("2.{}.0", specials_)] = name;
    texts_[fmt::format("2.{}.1", specials_)] = type;
  }

  Arrays arrays_;
  Texts texts_;
  size_t specials_ = 0;
};

CacheLayerState state_of_part(const CachePart& part, const KvCache& cache) {
  if (!part.is_arrays) return state_of(cache.layers()[part.slots[0]]);
  std::vector<const LayerCache*> layers;
  for (const size_t slot : part.slots) layers.push_back(&cache.layers()[slot]);
  return state_of_arrays(layers);
}

void add_caches(const KvCache& cache, FileContent& content) {
  const std::vector<CacheEntry> layout = cache_layout(cache);
  for (size_t k = 0; k < layout.size(); ++k) {
    if (!layout[k].is_list) {
      const CacheLayerState state = state_of_part(layout[k].parts[0], cache);
      content.set_kind(k, state.kind);
      content.add(fmt::format("{}", k), state);
      continue;
    }
    content.set_kind(k, "CacheList");
    for (size_t j = 0; j < layout[k].parts.size(); ++j) {
      const CacheLayerState state = state_of_part(layout[k].parts[j], cache);
      content.add(fmt::format("{}.{}.0", k, j), state);
      content.add_name(fmt::format("{}.{}.1", k, j), state.kind);
    }
  }
}

// Of a model without attention only its own files tell how many tokens it has read.
int offset_of(const StoredCaches& stored, const Json& metadata) {
  if (!stored.layers.empty()) return stored.layers.begin()->second.offset();
  const auto list = parse_json(text_at(metadata, "0.tokens"), "tokens");
  return list && list->is_array() && !list->empty() ? static_cast<int>(list->size()) : 1;
}

void restore_all(const StoredCaches& stored, const KvCache& sample, int offset, KvCache& cache) {
  for (const CacheEntry& entry : cache_layout(cache)) {
    for (const CachePart& part : entry.parts) {
      const std::string& place = stored.places[part.slots[0]];
      if (part.is_arrays) {
        std::vector<ArraysTarget> targets;
        for (const size_t slot : part.slots) targets.push_back({&cache.layer(slot), &sample.layers()[slot]});
        restore_arrays(place, stored.arrays, targets, offset);
        continue;
      }
      const size_t slot = part.slots[0];
      stored.layers.at(slot).restore(cache.layer(slot), sample.layers()[slot]);
      if (cache.layer(slot).seen() != offset)
        throw Fault({ErrorTag::bad_file,
                     "all layers of a prompt cache have seen the same tokens",
                     "layer " + place,
                     "write it again",
                     {}});
    }
  }
  mx::eval(cache.arrays());
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
  FileContent content;
  content.set_text("0.model", names.model);
  content.set_text("0.tokenizer_config", settings.dump(-1, ' ', false, Json::error_handler_t::replace));
  content.set_text("0.mark", mark);
  content.set_text("0.tokens", Json(context.tokens()).dump());
  content.set_text("2.0", "");
  fs::path beside = path;
  beside += ".partial.safetensors";
  PIPPIN_CHECK(guarded("writing " + path.string(), [&] {
    add_caches(context.cache(), content);
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
  PIPPIN_TRY(const StoredCaches stored, stored_caches(path, metadata, fresh));
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
