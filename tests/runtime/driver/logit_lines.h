// Token ids and logits as the drivers take and print them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include <mlx/ops.h>
#include <mlx/transforms.h>

namespace pippin {

// "a,b,c"
inline std::vector<int32_t> numbers(const char* text) {
  std::vector<int32_t> all;
  std::stringstream words(text);
  for (std::string word; std::getline(words, word, ',');) all.push_back(std::stoi(word));
  return all;
}

// Each row of logits [1, length, vocabulary] as a line of JSON.
inline void print_rows(mlx::core::array logits) {
  logits = mlx::core::contiguous(mlx::core::astype(logits, mlx::core::float32));
  mlx::core::eval(logits);
  const int columns = logits.shape(2);
  for (int row = 0; row < logits.shape(1); ++row) {
    std::string line = "[";
    for (int k = 0; k < columns; ++k) {
      char number[32];
      std::snprintf(number, sizeof number, "%s%.9g", k == 0 ? "" : ",", logits.data<float>()[row * columns + k]);
      line += number;
    }
    std::puts((line + "]").c_str());
  }
}

}  // namespace pippin
