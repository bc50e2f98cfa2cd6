#include "verify/fidelity.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "execute/evaluator.h"
#include "execute/job_blocks.h"
#include "quantize/quantize.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr size_t thread_bytes = size_t{8} << 20;

// One parameter: the dense values of both sides, and how the output stores it.
struct Pair {
  std::string name;
  RecipePtr source;                   // dense, in the dtype that the conversion quantized or wrote
  RecipePtr converted;                // dense
  std::optional<QuantFormat> format;  // of the output
  RecipePtr packed, scales, biases;   // as stored, with a format
  RecipePtr source_packed, source_scales,
      source_biases;  // where the source is packed in the same format: kept as it is
};

// Of one side's values.
struct SideSums {
  double sum = 0, squared = 0;
  double smallest = std::numeric_limits<double>::infinity();
  double largest = -std::numeric_limits<double>::infinity();

  void add(double x) {
    sum += x;
    squared += x * x;
    smallest = std::min(smallest, x);
    largest = std::max(largest, x);
  }
  [[nodiscard]] TensorStatistics statistics(double count) const {
    if (count <= 0) return {};
    const double mean = sum / count;
    return {smallest, largest, mean, std::sqrt(std::max(0.0, squared / count - mean * mean))};
  }
};

struct Sums {
  double largest = 0, absolute = 0, squared = 0, product = 0;
  SideSums source, converted;
  uint64_t nonfinite = 0;
  bool exact = true;
};

void accumulate(const float* a, const float* b, int64_t count, Sums& sums) {
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      ++sums.nonfinite;
      continue;
    }
    const double x = a[i];
    const double y = b[i];
    const double difference = std::abs(y - x);
    sums.largest = std::max(sums.largest, difference);
    sums.absolute += difference;
    sums.squared += difference * difference;
    sums.source.add(x);
    sums.converted.add(y);
    sums.product += x * y;
  }
}

// One thread's work: evaluators of both checkpoints and buffers that are kept.
class Measurer {
 public:
  Measurer(const ModelSide& source, const ModelSide& converted, Rounding rounding)
      : source_checkpoint_(source.checkpoint),
        rounding_(rounding),
        source_({&source.checkpoint, rounding, true}),
        converted_({&converted.checkpoint, rounding, true}) {}

  Result<TensorFidelity> measure(const Pair& pair, const std::atomic<bool>* cancelled) {
    Job job{pair.source, pair.format, {}, ""};
    const JobBlocks blocks = cut_job(job, source_checkpoint_, thread_bytes);
    source_.start(blocks.buffer_limit);
    converted_.start(blocks.buffer_limit);
    Sums sums;
    for (int64_t block = 0; block < blocks.count; ++block) {
      if (cancelled != nullptr && cancelled->load()) {
        return fail(ErrorTag::interrupted, "a run goes to its end", "stopped by a signal", "run again");
      }
      PIPPIN_CHECK(measure_block(pair, blocks.box(block), sums));
    }
    return fidelity_of(pair, sums);
  }

 private:
  static TensorFidelity fidelity_of(const Pair& pair, const Sums& sums) {
    TensorFidelity result;
    result.name = pair.name;
    result.format = pair.format ? fmt::format("{} {} bits, group {}", row_of(pair.format->mode).name, pair.format->bits,
                                              pair.format->group_size)
                                : std::string(name_of(pair.converted->dtype));
    result.elements = static_cast<uint64_t>(element_count(pair.source->shape));
    result.exact = sums.exact;
    result.largest_error = sums.largest;
    const auto counted = static_cast<double>(result.elements - sums.nonfinite);
    result.mean_error = counted > 0 ? sums.absolute / counted : 0;
    result.relative_error = sums.source.squared > 0 ? std::sqrt(sums.squared / sums.source.squared) : 0;
    const double norms = std::sqrt(sums.source.squared) * std::sqrt(sums.converted.squared);
    result.cosine = norms > 0 ? sums.product / norms : 1;
    result.nonfinite = sums.nonfinite;
    // Integers are compared by their bytes alone.
    if (is_floating(pair.source->dtype) || pair.source->dtype == DType::F64) {
      result.before = sums.source.statistics(counted);
      result.after = sums.converted.statistics(counted);
    }
    return result;
  }

  Status measure_block(const Pair& pair, const Box& box, Sums& sums) {
    const int64_t count = box.count();
    if (count == 0) return {};
    PIPPIN_CHECK(evaluate(source_, pair.source, box, source_bytes_));
    PIPPIN_CHECK(evaluate(converted_, pair.converted, box, converted_bytes_));
    if (pair.format) {
      PIPPIN_TRY(const bool same, pair.source_packed ? kept_packing(pair, box) : same_packing(pair, box));
      sums.exact = sums.exact && same;
    } else {
      sums.exact = sums.exact && source_bytes_ == converted_bytes_;
    }
    if (is_floating(pair.source->dtype) || pair.source->dtype == DType::F64) {
      source_floats_.resize(static_cast<size_t>(count));
      converted_floats_.resize(static_cast<size_t>(count));
      cast(pair.source->dtype, source_bytes_.data(), DType::F32, source_floats_.data(), count);
      cast(pair.converted->dtype, converted_bytes_.data(), DType::F32, converted_floats_.data(), count);
      accumulate(source_floats_.data(), converted_floats_.data(), count, sums);
    }
    return {};
  }

  static Status evaluate(Evaluator& evaluator, const RecipePtr& recipe, const Box& box, std::vector<std::byte>& out) {
    out.resize(static_cast<size_t>(box.count()) * size_of(recipe->dtype));
    return evaluator.evaluate(*recipe, box, out.data());
  }

  // Quantizes the source's block again and compares with what the output stores there.
  Result<bool> same_packing(const Pair& pair, const Box& box) {
    const int last = box.rank - 1;
    const int64_t columns = box.extent(last);
    const int64_t rows = box.count() / columns;
    const PackedRow row = packed_row(*pair.format, columns);
    const size_t scale_size = size_of(pair.scales->dtype);
    std::vector<uint32_t> words(static_cast<size_t>(rows * row.words));
    std::vector<std::byte> scales(static_cast<size_t>(rows * row.groups) * scale_size);
    std::vector<std::byte> biases(pair.biases ? scales.size() : 0);
    quantize_rows(*pair.format, rounding_, pair.source->dtype, source_bytes_.data(), rows, columns, words.data(),
                  scales.data(), biases.data());
    PIPPIN_TRY(bool same,
               stored_equals(pair.packed, scaled(box, last, row.words, columns), words.data(), words.size() * 4));
    const Box group_box = scaled(box, last, row.groups, columns);
    if (same) {
      PIPPIN_TRY(same, stored_equals(pair.scales, group_box, scales.data(), scales.size()));
    }
    if (same && pair.biases) {
      PIPPIN_TRY(same, stored_equals(pair.biases, group_box, biases.data(), biases.size()));
    }
    return same;
  }

  // The source's own words, scales and biases, the latter in the output's dtype.
  Result<bool> kept_packing(const Pair& pair, const Box& box) {
    const int last = box.rank - 1;
    const int64_t columns = box.extent(last);
    const PackedRow row = packed_row(*pair.format, columns);
    const Box group_box = scaled(box, last, row.groups, columns);
    PIPPIN_TRY(bool same, same_part(pair.source_packed, pair.packed, scaled(box, last, row.words, columns)));
    if (same) {
      PIPPIN_TRY(same, same_part(pair.source_scales, pair.scales, group_box));
    }
    if (same && pair.biases) {
      PIPPIN_TRY(same, same_part(pair.source_biases, pair.biases, group_box));
    }
    return same;
  }

  Result<bool> same_part(const RecipePtr& source, const RecipePtr& stored, const Box& box) {
    PIPPIN_CHECK(evaluate(source_, source, box, expected_bytes_));
    return stored_equals(stored, box, expected_bytes_.data(), expected_bytes_.size());
  }

  static Box scaled(Box box, int axis, int64_t units, int64_t columns) {
    box.lo[axis] = box.lo[axis] * units / columns;
    box.hi[axis] = box.lo[axis] + units;
    return box;
  }

  Result<bool> stored_equals(const RecipePtr& stored, const Box& box, const void* expected, size_t size) {
    PIPPIN_CHECK(evaluate(converted_, stored, box, stored_bytes_));
    return stored_bytes_.size() == size && std::memcmp(stored_bytes_.data(), expected, size) == 0;
  }

  const Checkpoint& source_checkpoint_;
  Rounding rounding_;
  Evaluator source_;
  Evaluator converted_;
  std::vector<std::byte> source_bytes_, converted_bytes_, stored_bytes_, expected_bytes_;
  std::vector<float> source_floats_, converted_floats_;
};

Result<RecipePtr> dense(const LoadedModel& model, size_t index, const std::string& parameter) {
  const MlxModule& module = model.tree.modules[index];
  const RecipePtr stored = model.tensors.at(module.name_of(parameter));
  const auto& packed = model.packed[index];
  if (!packed || parameter != "weight") return stored;
  const RecipePtr scales = model.tensors.at(module.name_of("scales"));
  const bool affine = row_of(packed->mode).has_biases;
  return dequantize(*packed, stored, scales, affine ? model.tensors.at(module.name_of("biases")) : nullptr,
                    affine ? scales->dtype : DType::BF16);
}

// The dtype that the conversion cast to, as the output's own plain tensors tell.
DType prevalent_dtype(const LoadedModel& model) {
  std::map<DType, int64_t> elements;
  for (const auto& [name, tensor] : model.tensors) {
    if (is_floating(tensor->dtype)) elements[tensor->dtype] += element_count(tensor->shape);
  }
  const auto most = std::max_element(elements.begin(), elements.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == elements.end() ? DType::BF16 : most->first;
}

void take_packing(const LoadedModel& source, const MlxModule& module, bool affine, Pair& pair) {
  pair.source_packed = source.tensors.at(pair.name);
  pair.source_scales = cast(source.tensors.at(module.name_of("scales")), pair.scales->dtype);
  if (affine) pair.source_biases = cast(source.tensors.at(module.name_of("biases")), pair.biases->dtype);
}

Result<std::vector<Pair>> pairs_of(const LoadedModel& source, const LoadedModel& converted) {
  std::vector<Pair> pairs;
  std::map<std::string, size_t> by_path;
  for (size_t i = 0; i < source.tree.modules.size(); ++i) by_path[source.tree.modules[i].path] = i;
  const DType plain = prevalent_dtype(converted);
  for (const auto& [index, parameter] : converted.tree.order) {
    const MlxModule& module = converted.tree.modules[index];
    const std::string& name = module.parameters[parameter].name;
    const auto other = by_path.find(module.path);
    if (other == by_path.end() || !source.tensors.contains(module.name_of(name))) {
      return fail(ErrorTag::mismatch, "both models have the same parameters",
                  module.name_of(name) + " is not in the source",
                  "check that the two folders belong together, and the target");
    }
    Pair pair;
    pair.name = module.name_of(name);
    PIPPIN_TRY(pair.source, dense(source, other->second, name));
    PIPPIN_TRY(pair.converted, dense(converted, index, name));
    const auto& packed = converted.packed[index];
    const auto& before = source.packed[other->second];
    const bool kept = packed && before && *packed == *before;
    if (packed && name == "weight" && (!before || kept)) {
      pair.format = packed;
      pair.packed = converted.tensors.at(pair.name);
      pair.scales = converted.tensors.at(module.name_of("scales"));
      const bool affine = row_of(packed->mode).has_biases;
      if (affine) pair.biases = converted.tensors.at(module.name_of("biases"));
      if (kept) take_packing(source, module, affine, pair);
      pair.source = cast(pair.source, affine ? pair.scales->dtype : plain);
    } else if (is_floating(pair.source->dtype)) {
      pair.source = cast(pair.source, pair.converted->dtype);
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace

Result<std::vector<TensorFidelity>> measure_fidelity(const ModelSide& source, const ModelSide& converted,
                                                     const FidelityOptions& options) {
  PIPPIN_TRY(const std::vector<Pair> pairs, pairs_of(source.model, converted.model));
  std::vector<TensorFidelity> results(pairs.size());
  uint64_t total = 0;
  for (const auto& pair : pairs) total += static_cast<uint64_t>(element_count(pair.source->shape));
  std::mutex mutex;
  size_t next = 0;
  uint64_t done = 0;
  std::optional<Error> first_error;
  const auto work = [&] {
    Measurer measurer(source, converted, options.rounding);
    while (true) {
      size_t mine = 0;
      {
        const std::lock_guard lock(mutex);
        if (next == pairs.size() || first_error) return;
        mine = next++;
      }
      auto result = measurer.measure(pairs[mine], options.cancelled);
      const std::lock_guard lock(mutex);
      if (!result) {
        if (!first_error) first_error = std::move(result).error();
        return;
      }
      done += result->elements;
      results[mine] = std::move(*result);
      if (options.progress) options.progress(done, total);
    }
  };
  const int count =
      options.threads > 0 ? options.threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::vector<std::jthread> threads;
  for (int i = 1; i < count; ++i) threads.emplace_back(work);
  work();
  threads.clear();
  if (first_error) return tl::unexpected<Error>(std::move(*first_error));
  return results;
}

}  // namespace pippin
