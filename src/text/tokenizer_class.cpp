#include "text/tokenizer_class.h"

#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "source/json_text.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// Model types that are read by the generic class whatever their files say. tests/text/tokenizer_reference_test.py
// compares these lists with the package's.
constexpr std::string_view generic_types =
    " EvollaModel arctic aria beam bigbird_pegasus camembertv2-base canary chatlm cohere_asr ernie4_5 "
    "ernie4_5_moe fastspeech2_conformer flex_olmo fuyu glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe "
    "glm_image glmasr got_ocr2 gpt_bigcode gradium_phonon_tts granite granitemoe granitemoehybrid "
    "granitemoeshared h2ovl_chat hyperclovax hyperclovax_vlm internlm2 internlm3 iquestcoder jamba "
    "kimi_k25 kimi_linear kosmos-2 llava llava_next mimo_v2_flash minicpm3 minicpm_ocr minicpmv "
    "minicpmv4_6 minicpmv4_7 minimax_m2 ministral ministral3 mistral mistral3 mistral_large4 mixtral "
    "modernbert modernbert-decoder molmo molmo2 nemo_speechlm nemotron nvfp4 nystromformer olmo2 olmo3 "
    "olmo_hybrid opencua openvla paddleocr_vl pegasus_x persimmon phi3 phi3_v phimoe pix2struct pixtral "
    "pocket_tts smolvlm stablelm step3_vl umt5 vipllava voxtral voxtral_realtime xlm-roberta-xl ";
// Their own class, unless the files name another.
constexpr std::string_view gemma_types =
    " diffusion_gemma gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma shieldgemma2 "
    "t5gemma zaya ";
constexpr std::string_view llama_types = " idefics idefics2 ";
// A class that is none of these, whatever their files say.
constexpr std::string_view other_types =
    " hyperclovax_vision_v2 qwen2 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen4_exp siglip2 ";

bool has(std::string_view list, const std::string& name) {
  return name.find(' ') == std::string::npos && list.find(' ' + name + ' ') != std::string_view::npos;
}

std::string text_of(const Json& json, const char* name) {
  return json.is_object() && json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : "";
}

bool has_own_code(const Json& config) {
  if (!config.is_object() || !config.contains("auto_map")) return false;
  const Json& map = config["auto_map"];
  return map.is_array() || (map.is_object() && map.contains("AutoTokenizer") && !map["AutoTokenizer"].is_null());
}

std::optional<TokenizerClass> class_named(std::string_view name) {
  if (name == "TokenizersBackend" || name == "PreTrainedTokenizerFast") return TokenizerClass::generic;
  if (name.ends_with("Fast")) name.remove_suffix(4);
  if (name == "LlamaTokenizer") return TokenizerClass::llama;
  if (name == "GemmaTokenizer") return TokenizerClass::gemma;
  return std::nullopt;
}

std::optional<TokenizerClass> class_of_type(const std::string& type) {
  if (has(gemma_types, type)) return TokenizerClass::gemma;
  if (has(llama_types, type)) return TokenizerClass::llama;
  if (type.empty() || type == "llama") return TokenizerClass::generic;  // no class of their own
  return std::nullopt;
}

tl::unexpected<Error> refused(const std::string& value) {
  return fail(ErrorTag::unsupported, "tokenizer.model is read by LlamaTokenizer, GemmaTokenizer or TokenizersBackend",
              value,
              "save the tokenizer with transformers (AutoTokenizer.from_pretrained, then save_pretrained) and use the "
              "tokenizer.json that it writes");
}

}  // namespace

Result<TokenizerClass> tokenizer_class_of(const std::filesystem::path& folder, const Json& tokenizer_config) {
  if (has_own_code(tokenizer_config)) return refused("tokenizer_config.json: auto_map names code of its own");
  Json config = Json::object();
  std::error_code ignored;
  if (std::filesystem::exists(folder / "config.json", ignored)) {
    PIPPIN_TRY(config, read_json(folder / "config.json"));
  }
  const std::string type = text_of(config, "model_type");
  if (has(generic_types, type)) return TokenizerClass::generic;
  std::string name = text_of(tokenizer_config, "tokenizer_class");
  if (name.empty()) name = text_of(config, "tokenizer_class");
  const bool is_open = !name.empty() && !has(other_types, type);
  if (const auto found = is_open ? class_named(name) : class_of_type(type)) return *found;
  return refused("tokenizer_class is " + in_quotes(name) + ", model_type is " + in_quotes(type));
}

}  // namespace pippin
