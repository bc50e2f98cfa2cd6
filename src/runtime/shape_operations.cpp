#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "runtime/operation.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

std::vector<int> integers(const OperationSite& site, const char* key) {
  std::vector<int> result;
  for (const auto& item : site.node.attributes.at(key)) result.push_back(item.get<int>());
  return result;
}

// [batch, length, count * dim] -> [batch, count, length, dim]
Operation heads(const OperationSite& site) {
  const int count = site.integer("count");
  if (count <= 0) throw Fault({ErrorTag::bad_config, "a model has 1 or more heads", std::to_string(count), "", {}});
  return [count](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    if (x.ndim() != 3 || x.shape(-1) % count != 0)
      throw Fault({ErrorTag::bad_config,
                   "a layer's width is a multiple of its heads",
                   fmt::format("{} and {} heads", x.shape(-1), count),
                   "check config.json",
                   {}});
    return one(mx::transpose(mx::reshape(x, {x.shape(0), x.shape(1), count, x.shape(2) / count}), {0, 2, 1, 3}));
  };
}

// [batch, heads, length, dim] -> [batch, length, heads * dim]
Operation merge(const OperationSite&) {
  return [](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    return one(mx::flatten(mx::transpose(x, {0, 2, 1, 3}), 2, 3));
  };
}

// Elements begin <= k < end of an axis; none: from the first, to the last. Negative counts from the end.
Operation part(const OperationSite& site) {
  const auto begin = site.maybe_integer("begin");
  const auto end = site.maybe_integer("end");
  const int axis = site.integer("axis");
  return [begin, end, axis](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    const int rank = static_cast<int>(x.ndim());
    const int at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank) throw Fault({ErrorTag::bad_spec, "an axis is there", std::to_string(axis), "", {}});
    const int extent = x.shape(at);
    const auto place = [extent](int k) { return std::clamp(k < 0 ? k + extent : k, 0, extent); };
    mx::Shape from(static_cast<size_t>(rank), 0);
    mx::Shape to = x.shape();
    if (begin) from[static_cast<size_t>(at)] = place(*begin);
    if (end) to[static_cast<size_t>(at)] = std::max(place(*end), from[static_cast<size_t>(at)]);
    return one(mx::slice(x, from, to));
  };
}

Operation concat(const OperationSite& site) {
  const int axis = site.integer("axis");
  return [axis](StepInputs inputs, Pass&) {
    return one(mx::concatenate({array_of(inputs, 0), array_of(inputs, 1)}, axis));
  };
}

// A list of numbers as float32.
Operation constant(const OperationSite& site) {
  std::vector<float> numbers;
  for (const auto& item : site.node.attributes.at("values")) numbers.push_back(item.get<float>());
  const mx::array value(numbers.begin(), {static_cast<int>(numbers.size())}, mx::float32);
  return [value](StepInputs, Pass&) { return one(value); };
}

Operation stack(const OperationSite& site) {
  const int axis = site.integer("axis");
  return [axis](StepInputs inputs, Pass&) {
    std::vector<mx::array> arrays;
    for (size_t k = 0; k < inputs.size(); ++k) arrays.push_back(array_of(inputs, k));
    return one(mx::stack(arrays, axis));
  };
}

Operation squeeze(const OperationSite& site) {
  return
      [axis = site.integer("axis")](StepInputs inputs, Pass&) { return one(mx::squeeze(array_of(inputs, 0), axis)); };
}

// A shape of the array but for its batch and length: 0 in the list keeps the axis, -1 is what is left.
Operation reshape(const OperationSite& site) {
  return [shape = integers(site, "shape")](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    mx::Shape to(shape.begin(), shape.end());
    for (size_t axis = 0; axis < to.size(); ++axis) {
      if (to[axis] == 0 && axis < x.ndim()) to[axis] = x.shape(static_cast<int>(axis));
    }
    return one(mx::reshape(x, to));
  };
}

Operation transpose(const OperationSite& site) {
  return [axes = integers(site, "axes")](StepInputs inputs, Pass&) {
    return one(mx::transpose(array_of(inputs, 0), axes));
  };
}

Operation repeat(const OperationSite& site) {
  const int times = site.integer("times");
  const int axis = site.integer("axis");
  return [times, axis](StepInputs inputs, Pass&) { return one(mx::repeat(array_of(inputs, 0), times, axis)); };
}

Operation broadcast_like(const OperationSite&) {
  return [](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    mx::Shape to = array_of(inputs, 1).shape();
    if (!to.empty() && x.ndim() == to.size()) to.back() = x.shape(-1);
    return one(mx::broadcast_to(x, to));
  };
}

Operation matmul(const OperationSite&) {
  return [](StepInputs inputs, Pass&) { return one(mx::matmul(array_of(inputs, 0), array_of(inputs, 1))); };
}

Operation total(const OperationSite& site) {
  const int axis = site.integer("axis");
  const bool keep = site.flag("keep");
  return [axis, keep](StepInputs inputs, Pass&) { return one(mx::sum(array_of(inputs, 0), axis, keep)); };
}

Operation mean(const OperationSite& site) {
  const int axis = site.integer("axis");
  const bool keep = site.flag("keep");
  return [axis, keep](StepInputs inputs, Pass&) { return one(mx::mean(array_of(inputs, 0), axis, keep)); };
}

// The standard deviation, of all elements and not of a sample.
Operation deviation(const OperationSite& site) {
  const int axis = site.integer("axis");
  const bool keep = site.flag("keep");
  return [axis, keep](StepInputs inputs, Pass&) { return one(mx::std(array_of(inputs, 0), axis, keep)); };
}

// Minus infinity at these places of the last axis; places beyond its end are none.
Operation exclude(const OperationSite& site) {
  return [places = integers(site, "places")](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    std::vector<bool> kept(static_cast<size_t>(x.shape(-1)), true);
    for (const int place : places) {
      if (place >= 0 && place < x.shape(-1)) kept[static_cast<size_t>(place)] = false;
    }
    const mx::array mask(kept.begin(), {x.shape(-1)}, mx::bool_);
    return one(mx::where(mask, x, scalar(-std::numeric_limits<float>::infinity(), x)));
  };
}

// 0, 1, 2 ... of the tokens of this pass, from the offset on: int32 [1, length].
Operation positions(const OperationSite&) {
  return [](StepInputs, Pass& pass) {
    return one(mx::expand_dims(mx::arange(pass.offset, pass.offset + pass.length), 0));
  };
}

// Blocks of the last axis times the Walsh-Hadamard matrix of their size, in Sylvester's order, divided by the square
// root of that size: it is its own inverse.
Operation hadamard(const OperationSite& site) {
  const int block = site.integer("block");
  const auto bad = [block](int width) {
    throw Fault({ErrorTag::bad_config,
                 "Hadamard blocks are of 1, 2, 4, 8 ... and divide a row",
                 fmt::format("blocks of {} in {}", block, width),
                 "check config.json",
                 {}});
  };
  return [=](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    const int width = x.ndim() == 0 ? 0 : x.shape(-1);
    if (block < 1 || (block & (block - 1)) != 0 || width % block != 0) bad(width);
    const mx::array rows = mx::reshape(x, {-1, block});
    return one(mx::reshape(mx::hadamard_transform(rows, 1.0F / std::sqrt(static_cast<float>(block))), x.shape()));
  };
}

}  // namespace

const OperationTable& shape_operations() {
  static const OperationTable table{
      {"heads", heads},         {"merge", merge},       {"part", part},
      {"concat", concat},       {"reshape", reshape},   {"transpose", transpose},
      {"repeat", repeat},       {"total", total},       {"broadcast_like", broadcast_like},
      {"positions", positions}, {"mean", mean},         {"matmul", matmul},
      {"stack", stack},         {"squeeze", squeeze},   {"deviation", deviation},
      {"exclude", exclude},     {"constant", constant}, {"hadamard", hadamard},
  };
  return table;
}

}  // namespace pippin
