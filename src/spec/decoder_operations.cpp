#include "spec/decoder_operations.h"

#include <algorithm>
#include <array>

namespace pippin {
namespace {

// *x is an array, *x? one that may be none, **x a list of arrays; @at a module; the rest plain. "=" gives what holds
// where it is left out.
constexpr std::array signatures{
    // Weights
    "embedding(*ids, @at)",
    "as_linear(*x, @at)",
    "linear(*x, @at)",
    "multi_linear(*x, @at, transpose=true)",
    "parameter(@at)",
    "parameters(@at, count)",
    "position_embedding(*ids, @at, first=0)",
    // Norms; `offset` is added to the weight
    "rms_norm(*x, @at=none, eps=1e-5, offset=0)",
    "layer_norm(*x, @at=none, eps=1e-5, offset=0)",
    "l2_norm(*x, eps=1e-6)",
    // Shapes
    "heads(*x, count)",
    "merge(*x)",
    "part(*x, begin, end, axis=-1)",
    "concat(*x, *y, axis=-1)",
    "constant(values)",
    "stack(**arrays, axis=0)",
    "squeeze(*x, axis)",
    "reshape(*x, shape)",
    "transpose(*x, axes)",
    "repeat(*x, times, axis)",
    "broadcast_like(*x, *like)",
    "matmul(*x, *y)",
    "hadamard(*x, block)",
    "total(*x, axis=-1, keep=false)",
    "mean(*x, axis=-1, keep=true)",
    "deviation(*x, axis=-1, keep=true)",
    "exclude(*x, places)",
    // Elements
    "add(*x, *y)",
    "subtract(*x, *y)",
    "multiply(*x, *y)",
    "divide(*x, *y)",
    "power(*x, *y)",
    "remainder(*x, *y)",
    "maximum(*x, *y)",
    "minimum(*x, *y)",
    "less(*x, *y)",
    "where(*condition, *x, *y)",
    "cast(*x, dtype)",
    "cast_like(*x, *like)",
    "silu(*x)",
    "gelu(*x)",
    "gelu_tanh(*x)",
    "gelu_sigmoid(*x)",
    "relu(*x)",
    "relu2(*x)",
    "tanh(*x)",
    "sigmoid(*x)",
    "softplus(*x)",
    "exp(*x)",
    "log(*x)",
    "floor(*x)",
    "sqrt(*x)",
    "rsqrt(*x)",
    "erf(*x)",
    "erfinv(*x)",
    "softmax(*x, precise=true, axis=-1)",
    "swiglu(*gate, *x)",
    "softcap(*x, cap)",
    "xielu(*x, @at)",
    "rounded(*x)",
    "clip(*x, low=none, high=none)",
    "block_rounded(*x, format, size, scales=\"power_of_two\")",
    "sinkhorn(*x, steps, eps=1e-6)",
    // Attention
    "rope(*x, dims, base=10000.0, traditional=false, scaling=none, scale=1.0, max_positions=none, freqs=none, "
    "every=1)",
    "attend(*q, *k, *v, scale, window=none, chunk=none, causal=true, softcap=none, @sinks=none, alibi=false, "
    "values=none, block=none, local_blocks=none, block_stride=none, *chosen?=none)",
    "top_keys(*q, *k, *weights, count)",
    "top_blocks(*q, *k, size, count, heads, local_blocks=1)",
    "attend_again(*q, layer, scale, window=none, softcap=none)",
    "positions(*ids)",
    // What goes from token to token
    "recent(*x, count)",
    "short_conv(*x, @at)",
    "linear_attention(*q, *k, *v, *decay, filed=\"vk\")",
    "delta_rule(*q, *k, *v, *decay, *beta)",
    "transition_rule(*q, *k, *v, *decay, *a, *b)",
    // Groups of tokens
    "nothing()",
    "groups(*x, size)",
    "kept_groups(*x, size)",
    "group_scores(*q, *keys?=none, *weights, size, scale=1.0)",
    "group_blocks(*scores?=none, block, count, size)",
    "top_groups(*scores?=none, *candidates?=none, count, size)",
    "attend_beside(*q, *k, *more?=none, *chosen?=none, scale, window, @sinks=none)",
    // Experts
    "route(*scores, count, *selection?=none, negate=false, sorted=false)",
    "route_in_turn(*scores, count, margin)",
    "route_within(*route, begin, end)",
    "route_weights(*route)",
    "reweight(*route, *weights)",
    "switch_linear(*x, *route, @at)",
    "expert_linear(*x, *route, @at, name, count)",
    "spread(*x)",
    "combine(*x, *route)",
    "combine_in_turn(*x, *route, *like)",
    "mask_groups(*scores, groups, keep, best=2, fill=0.0)",
};

DecoderOperation parse(std::string_view signature) {
  DecoderOperation operation;
  operation.signature = signature;
  const size_t open = signature.find('(');
  operation.name = signature.substr(0, open);
  std::string_view rest = signature.substr(open + 1, signature.size() - open - 2);
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(", "), rest.size());
    std::string_view word = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 2, rest.size()));
    OperationArgument argument;
    if (word.front() == '*') argument.kind = OperationArgument::Kind::array;
    if (word.starts_with("**")) argument.kind = OperationArgument::Kind::arrays;
    if (word.front() == '@') argument.kind = OperationArgument::Kind::module;
    word.remove_prefix(std::min(word.find_first_not_of("*@"), word.size()));
    if (const size_t equal = word.find('='); equal != std::string_view::npos) {
      argument.required = false;
      const std::string_view text = word.substr(equal + 1);
      argument.fallback = text == "none" ? Value(nullptr) : Value::parse(text);
      word = word.substr(0, equal);
    }
    if (word.ends_with('?')) word.remove_suffix(1);
    argument.name = word;
    operation.arguments.push_back(std::move(argument));
  }
  return operation;
}

const std::vector<DecoderOperation>& table() {
  static const std::vector<DecoderOperation> operations = [] {
    std::vector<DecoderOperation> all;
    all.reserve(std::size(signatures));
    for (const std::string_view signature : signatures) all.push_back(parse(signature));
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return all;
  }();
  return operations;
}

}  // namespace

std::span<const DecoderOperation> decoder_operations() {
  return table();
}

const DecoderOperation* find_decoder_operation(std::string_view name) {
  const auto& all = table();
  const auto found =
      std::lower_bound(all.begin(), all.end(), name, [](const auto& a, std::string_view b) { return a.name < b; });
  return found != all.end() && found->name == name ? &*found : nullptr;
}

}  // namespace pippin
