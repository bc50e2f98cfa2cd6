#include "execute/source_ranges.h"

#include "execute/recipe_leaves.h"

namespace pippin {

void for_each_range(const Job& job, const Box& box, const Checkpoint& source,
                    const std::function<void(const SourceRange&)>& visit) {
  for_each_leaf(*job.value, box, [&](uint32_t tensor, const Box& part) {
    if (part.count() == 0) return;
    const TensorInfo& info = source.tensors()[tensor];
    const Strides strides = dense_strides(info.shape);
    const auto first = static_cast<uint64_t>(first_index(part, strides));
    uint64_t span = 1;
    for (int k = 0; k < part.rank; k++) span += static_cast<uint64_t>((part.extent(k) - 1) * strides[k]);
    const uint64_t element = size_of(info.dtype);
    visit({tensor, first * element, (first + span) * element});
  });
}

}  // namespace pippin
