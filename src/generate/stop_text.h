// Texts that end an answer, found although they may come in pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pippin {

// Holds back what may be the beginning of a stop text, so that no part of one is ever given out.
class StopText {
 public:
  // Empty texts are left out.
  explicit StopText(std::vector<std::string> stops);

  // The text that is now final. After a stop text has come, nothing more.
  std::string add(std::string_view piece);
  // What was held back, at the end of the answer.
  std::string finish();
  [[nodiscard]] bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace pippin
