// What the operations of a decoder program are made of when it runs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <mlx/array.h>

#include "linear/thread_pool.h"
#include "runtime/kv_cache.h"
#include "runtime/weight_source.h"
#include "spec/decoder_program.h"

namespace pippin {

// The value of a node. A route has the experts' numbers as its array and their weights as its second; a number stands
// for itself and takes the dtype of what it meets.
struct StepValue {
  std::optional<mlx::core::array> array;
  std::optional<mlx::core::array> second;
  std::optional<double> number;
};

// What the operations of one pass share.
struct Pass {
  KvCache* cache = nullptr;
  int offset = 0;  // position of the first token
  int batch = 1;
  int length = 1;                                       // tokens of each sequence
  std::map<std::string, mlx::core::array> masks;        // made once a pass, by kind
  std::map<int, std::vector<mlx::core::array>> shared;  // by node: results of operations that it has done for others
};

using StepInputs = std::span<const StepValue* const>;  // null: left out
using Operation = std::function<StepValue(StepInputs, Pass&)>;

// Operations that are done as one: the first does the work, the others take their results from Pass::shared.
struct OperationGroup {
  int leader = -1;  // its node
  std::vector<const DecoderNode*> members;
  size_t position = 0;  // of this node among them
};

// What an operation is made from.
struct OperationSite {
  const DecoderNode& node;
  const WeightSource& weights;
  std::shared_ptr<ThreadPool> pool;  // null: MLX's own kernels
  size_t cache_slot;                 // of the next attention that keeps something
  OperationGroup group{};            // without members: the operation stands alone

  [[nodiscard]] bool given(const char* key) const;     // there and not none
  [[nodiscard]] double number(const char* key) const;  // these throw Fault or a JSON exception
  [[nodiscard]] int integer(const char* key) const;
  [[nodiscard]] bool flag(const char* key) const;
  [[nodiscard]] std::string text(const char* key) const;
  [[nodiscard]] std::optional<int> maybe_integer(const char* key) const;
};

// Makes the operation of a node; its weights are looked up here. Throws Fault, or what MLX and JSON throw.
using OperationMaker = Operation (*)(const OperationSite&);
using OperationTable = std::map<std::string_view, OperationMaker>;

const OperationTable& weight_operations();     // embedding, linear, norms
const OperationTable& shape_operations();      // heads, merge, part, concat ...
const OperationTable& element_operations();    // add, silu, softcap ...
const OperationTable& attention_operations();  // rope, attend
const OperationTable& expert_operations();     // route, switch_linear ...
const OperationTable& recurrent_operations();  // recent, delta_rule ...
const OperationTable& group_operations();      // kept_groups, attend_beside ...

// The maker of an operation of any table, or null.
OperationMaker find_operation(std::string_view op);

// The array of an input; a Fault where it is none.
const mlx::core::array& array_of(StepInputs inputs, size_t position);
// Of an input that may be none: null then.
const mlx::core::array* maybe_array_of(StepInputs inputs, size_t position);

// A value that is just this array.
StepValue one(mlx::core::array array);

// A number as an array of no axes, in the dtype of what it meets.
mlx::core::array scalar(double value, const mlx::core::array& like);

}  // namespace pippin
