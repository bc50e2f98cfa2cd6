#include "runtime/decoder.h"

#include <algorithm>

#include <fmt/format.h>
#include <mlx/ops.h>

#include "runtime/fault.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

std::string place_of(const DecoderNode& node) {
  return node.layer < 0 ? fmt::format("{} ({})", node.step, node.op)
                        : fmt::format("layer {}, {} ({})", node.layer, node.step, node.op);
}

// What the operation keeps of the tokens, if anything.
std::optional<CacheKind> kept_by(const DecoderNode& node) {
  using Use = CacheKind::Use;
  CacheKind kind;
  kind.layer = node.layer;
  const auto number = [&](const char* name) {
    const Value& value = node.attributes.at(name);
    return value.is_null() ? std::nullopt : std::optional<int>(value.get<int>());
  };
  if (node.op == "recent") {
    kind.use = Use::recent;
    kind.window = node.attributes.at("count").get<int>() + 1;
  } else if (node.op == "top_keys" || node.op == "top_blocks") {
    kind.use = Use::index;
    kind.blanks = node.op == "top_keys";
  } else if (node.op == "delta_rule" || node.op == "linear_attention" || node.op == "transition_rule") {
    kind.use = Use::state;
    kind.keys_first = node.op == "linear_attention" && node.attributes.at("filed") == "kv";
  } else if (node.op == "kept_groups") {
    kind.use = Use::groups;
  } else if (node.op == "attend_beside") {
    kind.use = Use::groups;
    kind.window = number("window");
  } else if (node.op == "attend") {
    kind.window = number("window");
    kind.chunk = number("chunk");
    kind.values = number("values");
  } else {
    return std::nullopt;
  }
  return kind;
}

}  // namespace

Result<Decoder> Decoder::make(DecoderProgram program, const WeightSource& weights, std::shared_ptr<ThreadPool> pool) {
  Decoder decoder(std::move(program));
  auto found = guarded("reading the decoder", [&] { decoder.find_slots(); });
  if (!found) return tl::unexpected<Error>(found.error());
  decoder.find_last_position();
  if (pool) decoder.find_groups();
  for (size_t k = 0; k < decoder.program_.nodes.size(); ++k) {
    const DecoderNode& node = decoder.program_.nodes[k];
    if (node.op == "ids" || node.op == "number") {
      decoder.operations_.emplace_back();
      continue;
    }
    const OperationGroup group = decoder.groups_[static_cast<int>(k)];
    const bool sum = node.op == "add" && group.members.size() == 2;
    const OperationMaker maker = find_operation(sum ? "add_before_norm" : node.op);
    if (maker == nullptr) return fail(ErrorTag::unsupported, "the runtime knows the operation", node.op);
    auto made = guarded(place_of(node), [&] { return maker({node, weights, pool, decoder.slots_[k], group}); });
    if (!made) return tl::unexpected<Error>(made.error());
    decoder.operations_.push_back(std::move(*made));
  }
  decoder.find_last_uses();
  return decoder;
}

// Operations keep what they need in caches of their own; attend_again reads that of a layer before it.
void Decoder::find_slots() {
  slots_.assign(program_.nodes.size(), 0);
  std::map<int, size_t> slot_of_layer;
  for (size_t k = 0; k < program_.nodes.size(); ++k) {
    DecoderNode& node = program_.nodes[k];
    slots_[k] = caches_.size();
    if (const auto kind = kept_by(node)) {
      caches_.push_back(*kind);
      if (node.op == "attend") slot_of_layer[node.layer] = slots_[k];
    } else if (node.op == "attend_again") {
      const auto slot = slot_of_layer.find(node.attributes.at("layer").get<int>());
      if (slot == slot_of_layer.end())
        throw Fault({ErrorTag::bad_spec, "attend_again reads an earlier layer", place_of(node), "", {}});
      node.attributes["slot"] = slot->second;
    }
  }
}

// Layers that read the same array become one operation, and so do a sum and its norm.
void Decoder::find_groups() {
  const auto& nodes = program_.nodes;
  std::map<int, std::vector<int>> readers;
  std::map<int, int> norm_of;
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (nodes[k].op == "linear" && static_cast<int>(k) != cut_node_)
      readers[nodes[k].inputs[0]].push_back(static_cast<int>(k));
    if (nodes[k].op == "rms_norm") norm_of.emplace(nodes[k].inputs[0], static_cast<int>(k));
  }
  for (const auto& [input, members] : readers) {
    if (members.size() < 2) continue;
    OperationGroup group;
    group.leader = members[0];
    for (const int member : members) group.members.push_back(&nodes[static_cast<size_t>(member)]);
    for (size_t position = 0; position < members.size(); ++position) {
      group.position = position;
      groups_[members[position]] = group;
    }
  }
  for (const auto& [input, norm] : norm_of) {
    const DecoderNode& sum = nodes[static_cast<size_t>(input)];
    if (sum.op != "add" || nodes[static_cast<size_t>(sum.inputs[0])].op == "number" ||
        nodes[static_cast<size_t>(sum.inputs[1])].op == "number")
      continue;
    const OperationGroup group{input, {&sum, &nodes[static_cast<size_t>(norm)]}, 0};
    groups_[input] = group;
    groups_[norm] = OperationGroup{input, {}, 1};
  }
}

void Decoder::find_last_uses() {
  std::vector<int> last(program_.nodes.size(), -1);
  for (size_t k = 0; k < program_.nodes.size(); ++k) {
    for (const int input : program_.nodes[k].inputs) {
      if (input >= 0) last[static_cast<size_t>(input)] = static_cast<int>(k);
    }
  }
  released_.assign(program_.nodes.size(), {});
  for (size_t k = 0; k < last.size(); ++k) {
    if (last[k] >= 0 && static_cast<int>(k) != program_.logits)
      released_[static_cast<size_t>(last[k])].push_back(static_cast<int>(k));
  }
}

// The head needs no more than the last position where only the last logits are wanted: what it reads is cut down.
void Decoder::find_last_position() {
  const auto& nodes = program_.nodes;
  int node = program_.logits;
  while (node > 0) {
    const DecoderNode& at = nodes[static_cast<size_t>(node)];
    const bool head = at.op == "linear" || at.op == "as_linear";
    if (head && at.layer < 0) {
      cut_node_ = node;
      return;
    }
    if (at.inputs.empty()) return;
    node = at.inputs[0];
  }
}

mx::array Decoder::forward(const mx::array& ids, KvCache& cache, bool last_only, const StepObserver* observer) const {
  Pass pass{&cache, cache.offset(), ids.shape(0), ids.shape(1), {}, {}};
  std::vector<StepValue> values(program_.nodes.size());
  values[0].array = ids;
  std::vector<const StepValue*> inputs;
  for (size_t k = 1; k < program_.nodes.size(); ++k) {
    const DecoderNode& node = program_.nodes[k];
    if (node.op == "number") {
      values[k].number = node.attributes.at("value").get<double>();
      continue;
    }
    inputs.clear();
    for (const int input : node.inputs) inputs.push_back(input < 0 ? nullptr : &values[static_cast<size_t>(input)]);
    if (static_cast<int>(k) == cut_node_ && last_only && pass.length > 1) {
      StepValue& x = values[static_cast<size_t>(node.inputs[0])];
      if (x.array && x.array->ndim() == 3 && x.array->shape(1) == pass.length)
        x.array = mx::slice(*x.array, {0, pass.length - 1, 0}, x.array->shape());
    }
    values[k] = operations_[k](inputs, pass);
    if (observer != nullptr && !node.step.empty() && values[k].array)
      (*observer)(node.layer, node.step, *values[k].array);
    for (const int done : released_[k]) values[static_cast<size_t>(done)] = {};
  }
  const auto& logits = values[static_cast<size_t>(program_.logits)].array;
  if (!logits) throw Fault({ErrorTag::bad_spec, "a decoder gives logits", "", "", {}});
  return *logits;
}

}  // namespace pippin
