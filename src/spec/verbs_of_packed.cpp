#include <fmt/format.h>

#include "spec/rule_match.h"
#include "spec/verb_functions.h"

namespace pippin::verbs {
namespace {

Result<QuantFormat> format_argument(const RuleContext& context, const Environment& environment) {
  PIPPIN_TRY(const std::string name, name_argument(context, environment, "mode"));
  const auto mode = quant_mode_of(name);
  if (!mode) return rule_error(context, ErrorTag::bad_spec, "mode is one of the quantization modes", name);
  const auto& row = row_of(*mode);
  PIPPIN_TRY(const int64_t bits, integer_argument(context, environment, "bits", row.default_bits));
  PIPPIN_TRY(const int64_t group_size, integer_argument(context, environment, "group_size", row.default_group_size));
  constexpr int64_t most = 1 << 20;
  if (bits < 0 || bits > most || group_size < 0 || group_size > most)
    return rule_error(context, ErrorTag::bad_spec, "bits and group_size are small numbers",
                      fmt::format("{} and {}", bits, group_size));
  const QuantFormat format{*mode, static_cast<int>(bits), static_cast<int>(group_size)};
  if (auto status = check(format); !status) return tl::unexpected<Error>(std::move(status).error());
  return format;
}

// Takes a tensor named by the argument `key` out of the map.
Result<RecipePtr> companion(RuleContext& context, const Environment& environment, const RuleMatch& match,
                            std::string_view key) {
  PIPPIN_TRY(const std::string name, name_argument(context, environment, key));
  const auto found = context.tensors.find(name);
  if (found == context.tensors.end())
    return rule_error(context, ErrorTag::mismatch, "a packed tensor has its scales",
                      fmt::format("{} needs {}", match.name, name));
  RecipePtr tensor = found->second;
  context.tensors.erase(found);
  return tensor;
}

}  // namespace

Status dequantize(RuleContext& context) {
  PIPPIN_TRY(const DType dtype, dtype_argument(context, "dtype", DType::BF16));
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const QuantFormat format, format_argument(context, bindings));
    PIPPIN_TRY(const RecipePtr scales, companion(context, bindings, match, "scales"));
    RecipePtr biases;
    if (row_of(format.mode).has_biases) {
      PIPPIN_TRY(biases, companion(context, bindings, match, "biases"));
    }
    const DType computed = biases ? scales->dtype : dtype;
    PIPPIN_TRY(const RecipePtr words, at_tensor(context, match.name, pippin::view(match.tensor, DType::U32)));
    PIPPIN_TRY(RecipePtr dense,
               at_tensor(context, match.name, pippin::dequantize(format, words, scales, biases, computed)));
    PIPPIN_CHECK(put(context, match, pippin::cast(std::move(dense), dtype)));
  }
  return {};
}

}  // namespace pippin::verbs
