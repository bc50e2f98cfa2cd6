#include "plan/shard_layout.h"

#include <fmt/format.h>

#include "source/safetensors_writer.h"

namespace pippin {

void lay_out_shards(Plan& plan, uint64_t limit, const std::map<std::string, std::string>& metadata) {
  std::vector<std::vector<SafetensorsTensor>> tensors(1);
  uint64_t in_shard = 0;
  for (auto& output : plan.outputs) {
    if (!tensors.back().empty() && in_shard + output.size > limit) {
      tensors.emplace_back();
      in_shard = 0;
    }
    output.shard = static_cast<uint32_t>(tensors.size() - 1);
    output.offset = in_shard;
    in_shard += output.size;
    tensors.back().push_back({output.name, output.dtype, output.shape});
  }
  plan.shards.clear();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string file = tensors.size() == 1
                                 ? "model.safetensors"
                                 : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, tensors.size());
    std::string header = safetensors_header(tensors[i], metadata);
    const uint64_t size = header.size();
    plan.shards.push_back({file, std::move(header), size});
  }
  for (auto& output : plan.outputs) {
    Shard& shard = plan.shards[output.shard];
    output.offset += shard.header.size();
    shard.size += output.size;
  }
}

}  // namespace pippin
