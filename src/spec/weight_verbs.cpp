#include "spec/weight_verbs.h"

#include <algorithm>
#include <array>

#include "spec/verb_functions.h"

namespace pippin {
namespace {

using Keys = std::span<const std::string_view>;

constexpr std::array<std::string_view, 1> to{"to"};
constexpr std::array<std::string_view, 1> with{"with"};
constexpr std::array<std::string_view, 1> perm{"perm"};
constexpr std::array<std::string_view, 1> shape{"shape"};
constexpr std::array<std::string_view, 1> dtype{"dtype"};
constexpr std::array<std::string_view, 1> scale{"scale"};
constexpr std::array<std::string_view, 3> create_needs{"shape", "dtype", "value"};
constexpr std::array<std::string_view, 1> create_takes{"for"};
constexpr std::array<std::string_view, 4> mla_needs{"to", "heads", "nope", "v"};
constexpr std::array<std::string_view, 1> mla_takes{"rank"};
constexpr std::array<std::string_view, 2> replace_takes{"in", "count"};
constexpr std::array<std::string_view, 1> rename_takes{"unless_exists"};
constexpr std::array<std::string_view, 1> copy_takes{"overwrite"};
constexpr std::array<std::string_view, 4> stack_takes{"over", "count", "first", "axis"};
constexpr std::array<std::string_view, 4> unstack_takes{"over", "count", "axis", "squeeze"};
constexpr std::array<std::string_view, 3> split_takes{"axis", "sizes", "interleaved"};
constexpr std::array<std::string_view, 1> axis{"axis"};
constexpr std::array<std::string_view, 3> slice_takes{"axis", "begin", "end"};
constexpr std::array<std::string_view, 1> times{"times"};
constexpr std::array<std::string_view, 2> axis_and_epsilon{"axis", "epsilon"};
constexpr std::array<std::string_view, 2> value_or_by{"value", "by"};
constexpr std::array<std::string_view, 2> dtype_or_like{"dtype", "like"};
constexpr std::array<std::string_view, 3> blocks_takes{"rows", "columns", "dtype"};
constexpr std::array<std::string_view, 2> packed_needs{"scales", "mode"};
constexpr std::array<std::string_view, 4> packed_takes{"biases", "bits", "group_size", "dtype"};
constexpr std::array<std::string_view, 2> lora_needs{"a", "b"};
constexpr std::array<std::string_view, 1> g{"g"};
constexpr std::array<std::string_view, 1> epsilon{"epsilon"};
constexpr std::array<std::string_view, 3> table_needs{"function", "length", "dims"};
constexpr std::array<std::string_view, 1> base{"base"};
constexpr std::array<std::string_view, 2> include_takes{"at", "config"};

constexpr std::array verbs_table{
    WeightVerb{"drop", "takes tensors out", {}, {}, true, verbs::drop},
    WeightVerb{"keep", "takes all other tensors out", {}, {}, true, verbs::keep},
    WeightVerb{"rename", "gives a new name", Keys(to), Keys(rename_takes), true, verbs::rename},
    WeightVerb{"replace", "replaces a text in names: every occurrence, or the first `count`", Keys(with),
               Keys(replace_takes), false, verbs::replace},
    WeightVerb{"copy", "gives a second name, unless there is one of that name (or `overwrite`)", Keys(to),
               Keys(copy_takes), true, verbs::copy},
    WeightVerb{"stack",
               "joins numbered tensors on a new axis; the capture {e} (or `over`) counts from `first`, `count` of them",
               Keys(to), Keys(stack_takes), true, verbs::stack},
    WeightVerb{"unstack", "cuts an axis into `count` numbered tensors; {e} in `to` is the number", Keys(to),
               Keys(unstack_takes), true, verbs::unstack},
    WeightVerb{"split",
               "cuts an axis into one part for each name in `to`: equal, of `sizes`, or taking turns (`interleaved`); "
               "an empty name drops the part",
               Keys(to), Keys(split_takes), true, verbs::split},
    WeightVerb{"concat", "joins a tensor and those named after it along an axis, where all are there", Keys(to),
               Keys(axis), true, verbs::concat},
    WeightVerb{"transpose", "permutes the axes", Keys(perm), {}, true, verbs::transpose},
    WeightVerb{"reshape", "gives a new shape; one dimension may be -1", Keys(shape), {}, true, verbs::reshape},
    WeightVerb{"slice", "takes [begin, end) of an axis", {}, Keys(slice_takes), true, verbs::slice},
    WeightVerb{"repeat", "gives each element `times` times in a row along an axis", Keys(times), Keys(axis), true,
               verbs::repeat},
    WeightVerb{"broadcast",
               "repeats along axes of length 1, and axes missing in front, up to a shape",
               Keys(shape),
               {},
               true,
               verbs::broadcast},
    WeightVerb{"view", "reads the bytes as another dtype", Keys(dtype), {}, true, verbs::view},
    WeightVerb{"add",
               "adds a constant `value` or the tensor `by`, in the tensor's dtype",
               {},
               Keys(value_or_by),
               true,
               verbs::add},
    WeightVerb{"multiply",
               "multiplies by a constant `value` or the tensor `by`, in the tensor's dtype",
               {},
               Keys(value_or_by),
               true,
               verbs::multiply},
    WeightVerb{"divide",
               "divides by a constant `value` or the tensor `by`, in the tensor's dtype",
               {},
               Keys(value_or_by),
               true,
               verbs::divide},
    WeightVerb{"maximum",
               "takes the larger of each element and a constant `value` or the tensor `by`",
               {},
               Keys(value_or_by),
               true,
               verbs::maximum},
    WeightVerb{"sigmoid", "1 / (1 + e^-x) in float32, back in the tensor's dtype", {}, {}, true, verbs::sigmoid},
    WeightVerb{"square_root", "in float32, back in the tensor's dtype", {}, {}, true, verbs::square_root},
    WeightVerb{
        "cast", "converts to a dtype, or to that of the tensor `like`", {}, Keys(dtype_or_like), true, verbs::cast},
    WeightVerb{"create", "makes a constant tensor where there is none; `for` runs over a list as {i}",
               Keys(create_needs), Keys(create_takes), false, verbs::create},
    WeightVerb{"normalise",
               "divides by the L2 norm along an axis (the last) plus `epsilon` (1e-7), in float32",
               {},
               Keys(axis_and_epsilon),
               true,
               verbs::normalise},
    WeightVerb{"exponent", "gives the exponents of powers of two as E8M0 bytes (U8)", {}, {}, true, verbs::exponent},
    WeightVerb{"dequantize_blocks", "multiplies fp8 weights by their `scale`, one for `rows` x `columns` (128 x 128)",
               Keys(scale), Keys(blocks_takes), true, verbs::dequantize_blocks},
    WeightVerb{"dequantize", "makes packed weights dense, in `dtype` (BF16)", Keys(packed_needs), Keys(packed_takes),
               true, verbs::dequantize},
    WeightVerb{"mla_split", "splits kv_b_proj into embed_q and unembed_out; a packed one is unpacked and packed again",
               Keys(mla_needs), Keys(mla_takes), true, verbs::mla_split},
    WeightVerb{"merge_lora",
               "adds `scale` (1) times the product of the low-rank factors `b` and `a`, where both are there",
               Keys(lora_needs), Keys(scale), true, verbs::merge_lora},
    WeightVerb{"weight_norm", "gives each row the length in `g`: v * (g / max(|v|, `epsilon` (1e-12))), in float32",
               Keys(g), Keys(epsilon), true, verbs::weight_norm},
    WeightVerb{"rotary_table",
               "makes the cos or sin (`function`) of `length` positions times the frequencies of `dims` dimensions",
               Keys(table_needs), Keys(base), false, verbs::rotary_table},
    WeightVerb{"stop", "leaves out the remaining rules where its condition holds", {}, {}, false, verbs::stop},
    WeightVerb{"refuse", "refuses the checkpoint with a reason, where `when` holds", {}, {}, false, verbs::refuse},
    WeightVerb{"warn", "goes on, but says this, where `when` holds", {}, {}, false, verbs::warn},
    WeightVerb{"include",
               "applies another spec's rules to the names below `at`",
               {},
               Keys(include_takes),
               false,
               verbs::include},
};

}  // namespace

bool WeightVerb::allows(std::string_view key) const {
  return std::find(needs.begin(), needs.end(), key) != needs.end() ||
         std::find(takes.begin(), takes.end(), key) != takes.end();
}

std::span<const WeightVerb> weight_verbs() {
  return verbs_table;
}

const WeightVerb* find_weight_verb(std::string_view name) {
  for (const auto& verb : verbs_table) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

Status apply_weight_rules(SpecScope& scope, TensorMap& tensors, bool each_load_alone,
                          std::vector<std::string>* warnings) {
  for (const auto& rule : scope.spec().weights) {
    if (each_load_alone && !rule.each_load) continue;
    if (rule.when) {
      PIPPIN_TRY(const bool wanted, rule.when->test(scope));
      if (!wanted) continue;
    }
    RuleContext context{rule, scope, tensors, warnings};
    PIPPIN_CHECK(rule.verb->apply(context));
    if (context.stop) break;
  }
  return {};
}

namespace verbs {

// The included spec sees the tensors below `at` under their own names.
Status include(RuleContext& context) {
  PIPPIN_TRY(auto inner, context.scope.inner(*context.rule.include));
  const auto at = context.rule.arguments.find("at");
  const std::string prefix = at == context.rule.arguments.end() || at->second.text.empty() ? "" : at->second.text + ".";
  TensorMap below;
  for (auto it = context.tensors.lower_bound(prefix); it != context.tensors.end() && it->first.starts_with(prefix);) {
    below.emplace(it->first.substr(prefix.size()), it->second);
    it = context.tensors.erase(it);
  }
  inner->look_at(&below, "");
  PIPPIN_CHECK(apply_weight_rules(*inner, below, false, context.warnings));
  for (auto& [name, tensor] : below) context.tensors.insert_or_assign(prefix + name, std::move(tensor));
  return {};
}

}  // namespace verbs
}  // namespace pippin
