#include "runtime/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/fault.h"

namespace pippin {
namespace {

using Json = nlohmann::json;

double number_in(const Json& scaling, const char* key, double otherwise) {
  const auto found = scaling.find(key);
  return found == scaling.end() || found->is_null() ? otherwise : found->get<double>();
}

std::string kind_of(const Json& scaling) {
  if (!scaling.is_object()) return "default";
  for (const char* key : {"type", "rope_type"}) {
    const auto found = scaling.find(key);
    if (found != scaling.end() && found->is_string() && !found->get_ref<const std::string&>().empty()) return *found;
  }
  return "default";
}

// base^(2k / dims), k < dims / 2, as float32 arithmetic gives it.
std::vector<float> plain(double base, int dims, int count) {
  std::vector<float> result;
  for (int k = 0; k < count; ++k) {
    const float exponent = static_cast<float>(2 * k) / static_cast<float>(dims);
    result.push_back(std::pow(static_cast<float>(base), exponent));
  }
  return result;
}

// Llama 3.1: long wavelengths are stretched, short ones kept, those between blended. In float32, step by step as
// mlx-lm, so that the bits are the same: a position multiplies what differs.
void stretch_llama3(RopeTable& table, const Json& scaling) {
  const auto factor = scaling.at("factor").get<float>();
  const double low = number_in(scaling, "low_freq_factor", 1);
  const double high = number_in(scaling, "high_freq_factor", 4);
  const double old = number_in(scaling, "original_max_position_embeddings", 8192);
  for (float& wave : table.wavelengths) {
    const float length = static_cast<float>(2 * M_PI) * wave;
    if (length > static_cast<float>(old / low)) {
      wave *= factor;
    } else if (length > static_cast<float>(old / high) && length < static_cast<float>(old / low)) {
      const float smooth =
          (static_cast<float>(old) / length - static_cast<float>(low)) / static_cast<float>(high - low);
      wave /= (1.0F - smooth) / factor + smooth;
    }
  }
}

double yarn_magnitude(double factor, double strength) {
  return factor <= 1 ? 1.0 : 0.1 * strength * std::log(factor) + 1;
}

void stretch_yarn(RopeTable& table, const Json& scaling) {
  const auto factor = scaling.at("factor").get<double>();
  const double old = number_in(scaling, "original_max_position_embeddings", 4096);
  const auto dimension = [&](double rotations) {
    return table.dims * std::log(old / (rotations * 2 * M_PI)) / (2 * std::log(table.base));
  };
  const double low = std::max(std::floor(dimension(number_in(scaling, "beta_fast", 32))), 0.0);
  double high = std::min(std::ceil(dimension(number_in(scaling, "beta_slow", 1))), table.dims - 1.0);
  if (low == high) high += 0.001;
  for (size_t k = 0; k < table.wavelengths.size(); ++k) {
    const float place = (static_cast<float>(k) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float kept = 1.0F - std::clamp(place, 0.0F, 1.0F);
    const float own = table.wavelengths[k];
    const float stretched = static_cast<float>(factor) * own;
    table.wavelengths[k] = stretched * own / (stretched * kept + own * (1.0F - kept));
  }
  table.amplitude = yarn_magnitude(factor, number_in(scaling, "mscale", 1)) /
                    yarn_magnitude(factor, number_in(scaling, "mscale_all_dim", 0));
}

void stretch_longrope(RopeTable& table, const Json& scaling, std::optional<double> max_positions) {
  const auto old = scaling.at("original_max_position_embeddings").get<double>();
  const Json& factors = scaling.at("long_factor");
  for (size_t k = 0; k < table.wavelengths.size(); ++k) {
    const double factor =
        factors.is_array() ? factors.at(std::min(k, factors.size() - 1)).get<double>() : factors.get<double>();
    table.wavelengths[k] = static_cast<float>(factor) * table.wavelengths[k];
  }
  const double factor = max_positions.value_or(131072) / old;
  table.amplitude = factor <= 1 ? 1.0 : std::sqrt(1 + std::log(factor) / std::log(old));
}

// Only the first part of the pairs turns; the others have endless wavelengths.
void limit_proportional(RopeTable& table, const Json& scaling) {
  const int turning = static_cast<int>(table.dims * number_in(scaling, "partial_rotary_factor", 1));
  const auto factor = static_cast<float>(number_in(scaling, "factor", 1));
  for (size_t k = 0; k < table.wavelengths.size(); ++k) {
    const bool turns = static_cast<int>(2 * k) < turning;
    table.wavelengths[k] = turns ? factor * table.wavelengths[k] : std::numeric_limits<float>::infinity();
  }
}

}  // namespace

std::vector<float> RopeTable::frequencies(double own_base) const {
  std::vector<float> result = wavelengths.empty() ? plain(own_base, dims, dims / 2) : wavelengths;
  for (float& wave : result) wave = static_cast<float>(scale) / wave;
  return result;
}

double RopeTable::base_for(double seen) const {
  if (!dynamic_factor) return base;
  const double length = std::max(seen, dynamic_from);
  const double growth = *dynamic_factor * length / dynamic_from - (*dynamic_factor - 1);
  return base * std::pow(growth, static_cast<double>(dims) / (dims - 2));
}

RopeTable rope_table(int dims, double base, bool traditional, const Json& scaling,
                     std::optional<double> max_positions) {
  if (dims <= 0 || dims % 2 != 0)
    throw Fault({ErrorTag::bad_config, "an even number of elements turns", std::to_string(dims), "", {}});
  RopeTable table{dims, traditional, base, 1, 1, {}, {}, 0};
  const std::string kind = kind_of(scaling);
  if (kind == "default" || kind == "mrope") return table;
  if (kind == "linear") {
    table.scale = 1 / scaling.at("factor").get<double>();
    return table;
  }
  if (kind == "dynamic") {
    table.dynamic_factor = scaling.at("factor").get<double>();
    table.dynamic_from = max_positions.value_or(2048);
    return table;
  }
  table.wavelengths = plain(base, dims, dims / 2);
  if (kind == "llama3")
    stretch_llama3(table, scaling);
  else if (kind == "yarn" || kind == "deepseek_yarn" || kind == "telechat3-yarn")
    stretch_yarn(table, scaling);
  else if (kind == "longrope")
    stretch_longrope(table, scaling, max_positions);
  else if (kind == "proportional")
    limit_proportional(table, scaling);
  else
    throw Fault({ErrorTag::unsupported,
                 "a rotary embedding is of a known kind",
                 "rope type " + kind,
                 "known are default, linear, dynamic, llama3, yarn, longrope, proportional, mrope",
                 {}});
  return table;
}

}  // namespace pippin
