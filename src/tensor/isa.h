// Which set of kernels runs on this machine.
//
// The SIMD kernels are written once with Google Highway and compiled for several instruction sets, which bear Highway's
// names: AVX3 (AVX-512), AVX2, NEON. "SCALAR" is the reference, compiled without vector instructions.
#pragma once

#include <span>
#include <string_view>

namespace pippin {

// The name in the environment variable PIPPIN_ISA as it was at the first call, or empty.
std::string_view forced_isa();

// The kernels that PIPPIN_ISA names, or the first where it names none that this machine can run. Kernels has a member
// `isa`; best_first is not empty.
template <typename Kernels>
const Kernels& chosen_kernels(std::span<const Kernels> best_first) {
  for (const Kernels& kernels : best_first) {
    if (kernels.isa == forced_isa()) return kernels;
  }
  return best_first.front();
}

}  // namespace pippin
