// digest_of: FNV-1a with 64 bits over a plain serialization.
#include <bit>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include <fmt/format.h>

#include "plan/plan.h"
#include "source/fnv_hash.h"

namespace pippin {
namespace {

class Digest {
 public:
  void add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) hash_.add(static_cast<uint8_t>(number >> shift));
  }
  // The length goes first, so that neighbouring texts do not run into each other.
  void add(std::string_view text) {
    add(static_cast<uint64_t>(text.size()));
    hash_.add(text);
  }
  void add(const Shape& shape) {
    add(static_cast<uint64_t>(shape.size()));
    for (const int64_t dimension : shape) add(static_cast<uint64_t>(dimension));
  }
  void add(const QuantFormat& format) {
    add(static_cast<uint64_t>(format.mode));
    add(static_cast<uint64_t>(format.bits));
    add(static_cast<uint64_t>(format.group_size));
  }
  [[nodiscard]] uint64_t value() const { return hash_.value(); }

 private:
  FnvHash hash_;
};

struct AddOperation {
  Digest& digest;

  void operator()(const FromSource& op) const { digest.add(uint64_t{op.tensor}); }
  void operator()(const Constant& op) const { digest.add(std::bit_cast<uint64_t>(op.value)); }
  void operator()(const Slice& op) const { digest.add(Shape{op.axis, op.begin, op.end, op.step}); }
  void operator()(const Concat& op) const { digest.add(static_cast<uint64_t>(op.axis)); }
  void operator()(const Transpose& op) const { digest.add(Shape(op.permutation.begin(), op.permutation.end())); }
  void operator()(const Reshape&) const {}
  void operator()(const View&) const {}
  void operator()(const Cast&) const {}
  void operator()(const Arithmetic& op) const { digest.add(static_cast<uint64_t>(op.op)); }
  void operator()(const DequantizeBlocks& op) const { digest.add(Shape{op.block_rows, op.block_columns}); }
  void operator()(const Dequantize& op) const { digest.add(op.format); }
  void operator()(const QuantizePart& op) const {
    digest.add(op.format);
    digest.add(static_cast<uint64_t>(op.part));
  }
  void operator()(const Norm& op) const { digest.add(static_cast<uint64_t>(op.axis)); }
  void operator()(const Exponent&) const {}
  void operator()(const UnpackCodes& op) const { digest.add(Shape{op.bits, op.awq ? 1 : 0}); }
  void operator()(const PackCodes& op) const { digest.add(static_cast<uint64_t>(op.bits)); }
  void operator()(const Function& op) const { digest.add(static_cast<uint64_t>(op.kind)); }
  void operator()(const MatrixProduct&) const {}
  void operator()(const RotaryTable& op) const {
    digest.add(static_cast<uint64_t>(op.kind));
    digest.add(std::bit_cast<uint64_t>(op.base));
  }
  void operator()(const Broadcast&) const {}
  void operator()(const Take& op) const {
    digest.add(static_cast<uint64_t>(op.axis));
    digest.add(Shape(op.places->begin(), op.places->end()));
  }
};

// Recipes share parts; each is digested once.
class RecipeDigests {
 public:
  uint64_t of(const RecipePtr& recipe) {
    if (const auto known = known_.find(recipe.get()); known != known_.end()) return known->second;
    Digest digest;
    digest.add(static_cast<uint64_t>(recipe->op.index()));
    std::visit(AddOperation{digest}, recipe->op);
    digest.add(static_cast<uint64_t>(recipe->dtype));
    digest.add(recipe->shape);
    for (const RecipePtr& input : recipe->inputs) digest.add(of(input));
    return known_[recipe.get()] = digest.value();
  }

 private:
  std::unordered_map<const Recipe*, uint64_t> known_;
};

void add_outputs(Digest& digest, const Plan& plan) {
  digest.add(static_cast<uint64_t>(plan.outputs.size()));
  for (const OutputTensor& output : plan.outputs) {
    digest.add(output.name);
    digest.add(static_cast<uint64_t>(output.dtype));
    digest.add(output.shape);
    digest.add(uint64_t{output.shard});
    digest.add(output.offset);
    digest.add(output.size);
  }
}

void add_jobs(Digest& digest, const Plan& plan) {
  RecipeDigests recipes;
  digest.add(static_cast<uint64_t>(plan.jobs.size()));
  for (const Job& job : plan.jobs) {
    digest.add(recipes.of(job.value));
    digest.add(uint64_t{job.quantize.has_value()});
    if (job.quantize) digest.add(*job.quantize);
    digest.add(static_cast<uint64_t>(job.outputs.size()));
    for (const uint32_t output : job.outputs) digest.add(uint64_t{output});
  }
}

}  // namespace

std::string digest_of(const Plan& plan, const std::vector<std::string>& source_identity) {
  Digest digest;
  digest.add(static_cast<uint64_t>(source_identity.size()));
  for (const std::string& part : source_identity) digest.add(part);
  add_outputs(digest, plan);
  add_jobs(digest, plan);
  digest.add(static_cast<uint64_t>(plan.shards.size()));
  for (const Shard& shard : plan.shards) {
    digest.add(shard.file);
    digest.add(shard.header);
    digest.add(shard.size);
  }
  digest.add(static_cast<uint64_t>(plan.rounding));
  // What a run let through, one that does not may not build on.
  digest.add(uint64_t{plan.allow_nonfinite});
  digest.add(plan.config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  digest.add(plan.index_metadata.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return fmt::format("{:016x}", digest.value());
}

}  // namespace pippin
