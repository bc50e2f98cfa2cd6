#include "quantize/reference.h"

namespace pippin {

void reference_quantize(const QuantizeJob& job) {
  return job.format.mode == QuantMode::affine ? reference_quantize_affine(job) : reference_quantize_floating(job);
}

void reference_dequantize(const DequantizeJob& job) {
  return job.format.mode == QuantMode::affine ? reference_dequantize_affine(job) : reference_dequantize_floating(job);
}

}  // namespace pippin
