// JSON text as Python's json.dump(value, indent=4) writes it: the form of config.json in MLX models, byte for byte.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace pippin {

// How NaN and the infinities are written. Both forms come in as either {"__float__": "NaN"} or a double.
enum class NonfiniteForm {
  tagged,   // {"__float__": "Infinity"}, valid JSON
  literal,  // NaN, Infinity, -Infinity, as plain json.dump
};

// The text without a final newline. Strings are escaped to ASCII; floats are the shortest that read back, as Python's
// repr has them: 1e-05, 1000000.0, 1e+16. Object keys stay in their order. Bytes that are not UTF-8 become \ufffd.
std::string python_json(const nlohmann::ordered_json& value, NonfiniteForm form);

// A double as Python's repr: "0.1", "1e-05", "nan".
std::string python_float(double value);

}  // namespace pippin
