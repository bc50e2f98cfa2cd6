#include "plan/int4_sources.h"

#include <vector>

#include <fmt/format.h>

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr int bits = 4;
constexpr int64_t codes_a_word = 32 / bits;
constexpr int64_t most_inputs = int64_t{1} << 24;

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(ErrorTag::unsupported, "AWQ and GPTQ sources have 4 bits and consecutive groups", what,
              "convert from the unquantized checkpoint, or one made without act-order (desc_act)");
}

class Repacker {
 public:
  Repacker(TensorMap& tensors, const Checkpoint& checkpoint, int64_t group_size)
      : tensors_(tensors), checkpoint_(checkpoint), group_size_(group_size) {}

  Status repack(const std::string& prefix) {
    const RecipePtr words = take(prefix + "qweight");
    const RecipePtr scales = take(prefix + "scales");
    const RecipePtr zeros = take(prefix + "qzeros");
    const RecipePtr groups = take(prefix + "g_idx");
    if (!scales || words->shape.size() != 2 || scales->shape.size() != 2)
      return refuse(prefix + "qweight without scales of two dimensions");
    const int64_t outputs = scales->shape[1];
    const bool gptq = words->shape[1] == outputs;
    if (groups) {
      PIPPIN_CHECK(check_groups(prefix, groups));
    }
    PIPPIN_TRY(tensors_[prefix + "weight"], gptq ? gptq_weight(words) : awq_weight(words));
    PIPPIN_TRY(const RecipePtr turned, transpose(scales, {1, 0}));
    PIPPIN_TRY(tensors_[prefix + "biases"], biases(zeros, turned, gptq));
    tensors_[prefix + "scales"] = turned;
    dtype = scales->dtype;
    return {};
  }

  DType dtype = DType::F16;  // of the scales seen last

 private:
  RecipePtr take(const std::string& name) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return nullptr;
    RecipePtr tensor = found->second;
    tensors_.erase(found);
    return tensor;
  }

  static Result<RecipePtr> awq_weight(const RecipePtr& words) {
    PIPPIN_TRY(const RecipePtr codes, unpack_codes(words, bits, true));
    PIPPIN_TRY(RecipePtr turned, transpose(codes, {1, 0}));
    return pack_codes(std::move(turned), bits);
  }

  // Eight inputs of one output in a word, lowest bits first: MLX's own order, but for the transpose.
  static Result<RecipePtr> gptq_weight(const RecipePtr& words) {
    PIPPIN_TRY(const RecipePtr unsigned_words, view(words, DType::U32));
    return transpose(unsigned_words, {1, 0});
  }

  // -zero * scale in float32, in the scales' dtype. Without zeros the codes are symmetric around 8.
  static Result<RecipePtr> biases(const RecipePtr& zeros, const RecipePtr& scales, bool gptq) {
    const RecipePtr wide = cast(scales, DType::F32);
    if (!zeros) {
      PIPPIN_TRY(RecipePtr product, arithmetic(Arithmetic::Op::multiply, wide, constant(-8, DType::F32, {})));
      return cast(std::move(product), scales->dtype);
    }
    PIPPIN_TRY(const RecipePtr codes, unpack_codes(zeros, bits, !gptq));
    PIPPIN_TRY(const RecipePtr turned, transpose(codes, {1, 0}));
    RecipePtr value = cast(turned, DType::F32);
    if (gptq) {
      PIPPIN_TRY(value, arithmetic(Arithmetic::Op::add, value, constant(1, DType::F32, {})));
    }
    PIPPIN_TRY(const RecipePtr negative, arithmetic(Arithmetic::Op::multiply, value, constant(-1, DType::F32, {})));
    PIPPIN_TRY(RecipePtr product, arithmetic(Arithmetic::Op::multiply, negative, wide));
    return cast(std::move(product), scales->dtype);
  }

  // The group of each input must be its place divided by the group size.
  Status check_groups(const std::string& prefix, const RecipePtr& groups) const {
    const auto* source = std::get_if<FromSource>(&groups->op);
    const int64_t count = element_count(groups->shape);
    if (source == nullptr || groups->dtype != DType::I32 || count > most_inputs || group_size_ <= 0)
      return refuse(prefix + "g_idx is no list of I32");
    std::vector<int32_t> indices(static_cast<size_t>(count));
    PIPPIN_CHECK(
        checkpoint_.read(checkpoint_.tensors()[source->tensor], 0, std::as_writable_bytes(std::span(indices))));
    for (int64_t i = 0; i < count; ++i) {
      if (indices[static_cast<size_t>(i)] != i / group_size_) {
        return refuse(
            fmt::format("{}g_idx puts input {} into group {} (act-order)", prefix, i, indices[static_cast<size_t>(i)]));
      }
    }
    return {};
  }

  TensorMap& tensors_;
  const Checkpoint& checkpoint_;
  int64_t group_size_;
};

}  // namespace

Result<Json> repack_int4(TensorMap& tensors, const Json& declared, const Checkpoint& checkpoint) {
  const Json width = declared.value("bits", Json(bits));
  if (width != bits) return refuse(fmt::format("config.json: quantization_config.bits is {}", width.dump()));
  const Json group_size = declared.value("group_size", Json(128));
  if (!group_size.is_number_integer() || group_size.get<int64_t>() <= 0) {
    return refuse(fmt::format("config.json: quantization_config.group_size is {}", group_size.dump()));
  }
  const std::string suffix = ".qweight";
  std::vector<std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(suffix)) prefixes.push_back(name.substr(0, name.size() - suffix.size() + 1));
  }
  Repacker repacker(tensors, checkpoint, group_size.get<int64_t>());
  for (const auto& prefix : prefixes) {
    PIPPIN_CHECK(repacker.repack(prefix));
  }
  for (auto& [name, tensor] : tensors) {
    if (!prefixes.empty() && is_floating(tensor->dtype)) tensor = cast(tensor, repacker.dtype);
  }
  return Json{{"group_size", group_size}, {"bits", bits}};
}

}  // namespace pippin
