#include "execute/job_blocks.h"

#include <algorithm>

#include "execute/evaluator.h"
#include "execute/recipe_leaves.h"
#include "execute/source_reader.h"

namespace pippin {
namespace {

constexpr size_t usual_block = size_t{1} << 20;  // bytes of the value

int64_t ceil_divide(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Blocks of at most `bytes` of the value, or the smallest there are.
JobBlocks cut(const Job& job, size_t bytes) {
  JobBlocks blocks;
  blocks.shape = job.value->shape;
  blocks.steps = 1;
  blocks.count = 1;
  const int rank = static_cast<int>(blocks.shape.size());
  if (rank == 0) return blocks;
  const auto wanted = static_cast<int64_t>(std::max<size_t>(1, bytes / size_of(job.value->dtype)));
  int64_t inner = 1;
  int axis = rank - 1;
  while (axis > 0 && inner * blocks.shape[static_cast<size_t>(axis)] <= wanted)
    inner *= blocks.shape[static_cast<size_t>(axis--)];
  const int64_t length = blocks.shape[static_cast<size_t>(axis)];
  const int64_t unit = job.quantize && axis == rank - 1 ? job.quantize->group_size : 1;
  const int64_t most = std::clamp<int64_t>(wanted / inner / unit * unit, unit, length);
  const int64_t chunks = ceil_divide(length, most);
  blocks.axis = axis;
  blocks.steps = ceil_divide(ceil_divide(length, chunks), unit) * unit;
  blocks.count = ceil_divide(length, blocks.steps);
  for (int k = 0; k < axis; k++) blocks.count *= blocks.shape[static_cast<size_t>(k)];
  return blocks;
}

// What reading a block costs, over the least it could: a read costs about as much as copying 3 KB.
double reading_overhead(const Job& job, const Checkpoint& source, const JobBlocks& blocks) {
  constexpr double bytes_a_read = 3 << 10;
  double cost = 0;
  double useful = 0;
  for_each_leaf(*job.value, blocks.box(blocks.count / 2), [&](uint32_t tensor, const Box& box) {
    const TensorInfo& info = source.tensors()[tensor];
    const ReadCost read = cost_of_reading(info, box);
    cost += static_cast<double>(read.reads) * (bytes_a_read + static_cast<double>(read.read_bytes));
    useful += static_cast<double>(box.count()) * static_cast<double>(size_of(info.dtype));
  });
  return useful > 0 ? cost / useful : 1;
}

}  // namespace

Box JobBlocks::box(int64_t block) const {
  Box result = whole_box(shape);
  if (result.rank == 0) return result;
  const int64_t chunks = ceil_divide(shape[static_cast<size_t>(axis)], steps);
  result.lo[axis] = block % chunks * steps;
  result.hi[axis] = std::min(result.lo[axis] + steps, result.hi[axis]);
  block /= chunks;
  for (int k = axis - 1; k >= 0; k--) {
    const int64_t dimension = shape[static_cast<size_t>(k)];
    result.lo[k] = block % dimension;
    result.hi[k] = result.lo[k] + 1;
    block /= dimension;
  }
  return result;
}

JobBlocks cut_job(const Job& job, const Checkpoint& source, size_t thread_bytes) {
  if (element_count(job.value->shape) == 0) return {};
  // The value, what is packed from it, and the buffers on the way share the thread's memory.
  const size_t most = thread_bytes / static_cast<size_t>(2 + buffer_depth(*job.value));
  size_t bytes = std::min(usual_block, most);
  JobBlocks best = cut(job, bytes);
  constexpr double good_overhead = 1.75;  // reads of 4 KB and more
  double best_overhead = reading_overhead(job, source, best);
  while (best_overhead > good_overhead && bytes * 2 <= most && bytes < byte_size(*job.value)) {
    bytes *= 2;
    const JobBlocks larger = cut(job, bytes);
    const double overhead = reading_overhead(job, source, larger);
    if (overhead < best_overhead) {
      best = larger;
      best_overhead = overhead;
    }
  }
  best.buffer_limit = most;
  return best;
}

}  // namespace pippin
