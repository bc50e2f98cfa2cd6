// Which set of kernels runs on this machine.
//
// The SIMD kernels are written once with Google Highway and compiled for several instruction sets, which bear Highway's
// names: AVX3 (AVX-512), AVX2, NEON. "SCALAR" is the reference, compiled without vector instructions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

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

// Highway's bits of the instruction sets that this machine has.
int64_t supported_targets();

// Those of the compiled kernels that this machine can run, in their order, with the reference last. Kernels has members
// `isa` and `target` (Highway's bit); a null function or a null isa says that a set was not compiled.
template <typename Kernels>
std::vector<Kernels> runnable_kernels(std::span<Kernels (*const)()> best_first, const Kernels& reference) {
  std::vector<Kernels> found;
  for (const auto compiled : best_first) {
    if (compiled == nullptr || compiled().isa == nullptr) continue;
    if ((supported_targets() & compiled().target) != 0) found.push_back(compiled());
  }
  found.push_back(reference);
  return found;
}

}  // namespace pippin
