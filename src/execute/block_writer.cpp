#include "execute/block_writer.h"

#include <algorithm>

#include "quantize/quantize.h"

namespace pippin {
namespace {

// A block made larger than usual for long reads is quantized in pieces that stay in the second-level cache.
constexpr int64_t piece_elements = 512 << 10;

}  // namespace

BlockWriter::BlockWriter(const Plan& plan, const Checkpoint& source, ShardFiles& files, size_t thread_bytes)
    : plan_(plan),
      files_(files),
      evaluator_({&source, plan.rounding, plan.allow_nonfinite}),
      thread_bytes_(thread_bytes) {}

Status BlockWriter::write_block(const Job& job, const JobBlocks& blocks, int64_t block) {
  if (job_ != &job) {
    evaluator_.scratch().trim(thread_bytes_);
    evaluator_.start(blocks.buffer_limit);
    job_ = &job;
  }
  const Box box = blocks.box(block);
  const size_t bytes = static_cast<size_t>(box.count()) * size_of(job.value->dtype);
  const Scratch::Lease values = evaluator_.scratch().take(bytes);
  PIPPIN_CHECK(evaluator_.evaluate(*job.value, box, values.data()));
  const int64_t first = first_index(box, dense_strides(job.value->shape));
  if (job.quantize) return write_quantized(job, box, first, values.data());
  return write_part(parts_of(job)[0], first, {values.data(), bytes});
}

Status BlockWriter::write_quantized(const Job& job, const Box& box, int64_t first, const std::byte* values) {
  const auto parts = parts_of(job);
  const int64_t columns = box.extent(box.rank - 1);
  const int64_t rows = box.count() / columns;
  const int64_t piece_rows = std::clamp<int64_t>(piece_elements / columns, 1, rows);
  const auto bytes_of = [&](const PartLayout& part, int64_t elements) {
    return static_cast<size_t>(elements / part.elements * part.bytes);
  };
  const int64_t most = piece_rows * columns;
  Scratch& scratch = evaluator_.scratch();
  const Scratch::Lease packed = scratch.take(bytes_of(parts[0], most));
  const Scratch::Lease scales = scratch.take(bytes_of(parts[1], most));
  const Scratch::Lease biases = scratch.take(parts.size() > 2 ? bytes_of(parts[2], most) : 0);
  const std::byte* results[] = {packed.data(), scales.data(), biases.data()};
  for (int64_t row = 0; row < rows; row += piece_rows) {
    const int64_t count = std::min(piece_rows, rows - row);
    const int64_t element = row * columns;
    quantize_rows(*job.quantize, plan_.rounding, job.value->dtype,
                  values + element * static_cast<int64_t>(size_of(job.value->dtype)), count, columns,
                  reinterpret_cast<uint32_t*>(packed.data()), scales.data(), biases.data());
    for (size_t i = 0; i < parts.size(); i++)
      PIPPIN_CHECK(write_part(parts[i], first + element, {results[i], bytes_of(parts[i], count * columns)}));
  }
  return {};
}

Status BlockWriter::write_part(const PartLayout& part, int64_t first, std::span<const std::byte> bytes) {
  const OutputTensor& output = plan_.outputs[part.output];
  const auto begin = static_cast<uint64_t>(first / part.elements * part.bytes);
  bytes_written_ += bytes.size();
  return files_.write(output.shard, output.offset + begin, bytes);
}

}  // namespace pippin
