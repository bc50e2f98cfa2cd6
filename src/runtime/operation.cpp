#include "runtime/operation.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "runtime/fault.h"

namespace pippin {
namespace {

[[noreturn]] void wrong(const DecoderNode& node, const char* key, const char* wanted) {
  const auto found = node.attributes.find(key);
  throw Fault({ErrorTag::bad_config,
               "a model's settings have the types that its decoder needs",
               fmt::format("{}: {} of {} is {}, not {}", node.step.empty() ? "a step" : node.step, key, node.op,
                           found == node.attributes.end() ? "missing" : found->dump(), wanted),
               "check config.json against the original repository",
               {}});
}

}  // namespace

bool OperationSite::given(const char* key) const {
  const auto found = node.attributes.find(key);
  return found != node.attributes.end() && !found->is_null();
}

double OperationSite::number(const char* key) const {
  const auto found = node.attributes.find(key);
  if (found == node.attributes.end() || !found->is_number()) wrong(node, key, "a number");
  return found->get<double>();
}

int OperationSite::integer(const char* key) const {
  const double value = number(key);
  if (value != std::floor(value) || std::abs(value) > std::numeric_limits<int>::max()) wrong(node, key, "an integer");
  return static_cast<int>(value);
}

bool OperationSite::flag(const char* key) const {
  const auto found = node.attributes.find(key);
  if (found == node.attributes.end()) wrong(node, key, "true or false");
  return truth(*found);
}

std::string OperationSite::text(const char* key) const {
  const auto found = node.attributes.find(key);
  if (found == node.attributes.end() || !found->is_string()) wrong(node, key, "a text");
  return found->get<std::string>();
}

std::optional<int> OperationSite::maybe_integer(const char* key) const {
  if (!given(key)) return std::nullopt;
  return integer(key);
}

OperationMaker find_operation(std::string_view op) {
  for (const auto* table : {&weight_operations(), &shape_operations(), &element_operations(), &attention_operations(),
                            &expert_operations(), &recurrent_operations(), &group_operations()}) {
    if (const auto found = table->find(op); found != table->end()) return found->second;
  }
  return nullptr;
}

const mlx::core::array* maybe_array_of(StepInputs inputs, size_t position) {
  const StepValue* value = position < inputs.size() ? inputs[position] : nullptr;
  return value != nullptr && value->array ? &*value->array : nullptr;
}

const mlx::core::array& array_of(StepInputs inputs, size_t position) {
  if (const mlx::core::array* array = maybe_array_of(inputs, position)) return *array;
  throw Fault({ErrorTag::bad_spec, "this operation needs an array", "a decoder gives it none", "", {}});
}

StepValue one(mlx::core::array array) {
  return {std::move(array), {}, {}};
}

mlx::core::array scalar(double value, const mlx::core::array& like) {
  if (mlx::core::issubdtype(like.dtype(), mlx::core::integer))
    return mlx::core::array(static_cast<int64_t>(value), like.dtype());
  return mlx::core::array(static_cast<float>(value), like.dtype());
}

}  // namespace pippin
