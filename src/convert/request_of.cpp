#include "convert/request_of.h"

#include <charconv>

#include <fmt/format.h>

#include "source/ascii_text.h"

namespace pippin {
namespace {

Result<DType> conversion_dtype(const std::string& name) {
  if (name == "float16") return DType::F16;
  if (name == "bfloat16") return DType::BF16;
  if (name == "float32") return DType::F32;
  return fail(ErrorTag::usage, "--dtype is float16, bfloat16 or float32", "--dtype " + name, "use one of the three");
}

// "PATTERN=bits[,group[,mode]]"; what is left out has the mode's default.
Result<ModuleOverride> override_of(const std::string& text) {
  const auto bad = [&text] {
    return fail(ErrorTag::usage, "--quantize-module reads PATTERN=bits[,group[,mode]]", text,
                "for example \"**.down_proj=8,64\"");
  };
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) return bad();
  const auto parts = parts_of(text.substr(equals + 1), ",");
  if (parts.size() > 3) return bad();
  QuantFormat format;
  if (parts.size() == 3) {
    const auto mode = quant_mode_of(parts[2]);
    if (!mode) return bad();
    format = {*mode, row_of(*mode).default_bits, row_of(*mode).default_group_size};
  }
  for (size_t i = 0; i < parts.size() && i < 2; ++i) {
    int value = 0;
    const auto [end, code] = std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), value);
    if (code != std::errc() || end != parts[i].data() + parts[i].size()) return bad();
    (i == 0 ? format.bits : format.group_size) = value;
  }
  PIPPIN_CHECK(check(format));
  PIPPIN_TRY(NamePattern modules, NamePattern::parse(text.substr(0, equals), "--quantize-module"));
  return ModuleOverride{std::move(modules), format};
}

Status read_overrides(const ConvertOptions& options, PlanRequest& request) {
  for (const auto& text : options.keep) {
    PIPPIN_TRY(NamePattern modules, NamePattern::parse(text, "--keep"));
    request.overrides.push_back({std::move(modules), std::nullopt});
  }
  for (const auto& text : options.quantize_modules) {
    PIPPIN_TRY(ModuleOverride one, override_of(text));
    request.overrides.push_back(std::move(one));
  }
  return {};
}

}  // namespace

Result<PlanRequest> request_of(const ConvertOptions& options, Target target) {
  PlanRequest request;
  request.target = target;
  request.quantize = options.quantize || options.requantize;
  request.dequantize = options.dequantize;
  request.requantize = options.requantize;
  if (options.q_bits && *options.q_bits != 0) request.bits = options.q_bits;  // 0 is "the default" for the references
  if (options.q_group_size && *options.q_group_size != 0) request.group_size = options.q_group_size;
  const auto mode = quant_mode_of(options.q_mode);
  if (!mode) {
    return fail(ErrorTag::usage, "--q-mode is affine, mxfp4, nvfp4 or mxfp8", "--q-mode " + options.q_mode,
                "use one of the four");
  }
  request.mode = *mode;
  // The references know float64 as a name and then leave the weights as they are, since MLX has no such weights.
  if (!options.dtype.empty() && options.dtype != "float64") {
    PIPPIN_TRY(request.dtype, conversion_dtype(options.dtype));
  }
  if (!options.quant_predicate.empty()) {
    PIPPIN_TRY(request.recipe, MixedRecipe::find(std::string(folder_of(target)), options.quant_predicate));
  }
  PIPPIN_CHECK(read_overrides(options, request));
  if (options.rounding != "metal" && options.rounding != "cpu") {
    return fail(ErrorTag::usage, "--rounding is metal or cpu", "--rounding " + options.rounding, "use one of the two");
  }
  request.rounding = options.rounding == "cpu" ? Rounding::cpu : Rounding::metal;
  request.quantize_vision = options.quantize_vision;
  request.quantize_audio = options.quantize_audio;
  request.allow_nonfinite = options.allow_nonfinite;
  request.memory_budget = options.memory;
  request.shard_limit = options.shard_limit;
  request.version = PIPPIN_VERSION;
  return request;
}

Result<SpecLibrary> library_of(const std::vector<std::filesystem::path>& arch) {
  SpecLibrary library = SpecLibrary::built_in();
  for (const auto& path : arch) {
    PIPPIN_TRY(const auto added, library.add(path, "mlx_lm"));
    (void)added;
  }
  return library;
}

}  // namespace pippin
