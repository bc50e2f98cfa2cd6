// Rotary position embeddings by their settings.
#pragma once

#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

namespace pippin {

// Pair k of the first `dims` elements turns by position * scale / wavelengths[k], or, where there are none, by
// position * scale * base^(-2k / dims).
struct RopeTable {
  int dims = 0;
  bool traditional = false;  // pairs (2k, 2k + 1) instead of (k, k + dims / 2)
  double base = 10000;
  double scale = 1;
  double amplitude = 1;  // multiplies what turns
  std::vector<float> wavelengths;
  // Dynamic NTK scaling: the base grows once more than `dynamic_from` positions are seen.
  std::optional<double> dynamic_factor;
  double dynamic_from = 0;

  // Radians a position by which each pair turns, for that base.
  [[nodiscard]] std::vector<float> frequencies(double base) const;
  // The base for `seen` positions in all.
  [[nodiscard]] double base_for(double seen) const;
};

// scaling: config.json's rope_scaling or rope_parameters (null: none) with "type" or "rope_type": default, linear,
// dynamic, llama3, yarn (Peng et al. 2023, arXiv:2309.00071), longrope (Ding et al. 2024, arXiv:2402.13753),
// proportional, mrope. max_positions: max_position_embeddings, where a kind needs it. Throws Fault or JSON exceptions.
RopeTable rope_table(int dims, double base, bool traditional, const nlohmann::json& scaling,
                     std::optional<double> max_positions);

}  // namespace pippin
