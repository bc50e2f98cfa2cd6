// MLX and JSON tell failures by exceptions; pippin by values. This is where the one becomes the other.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "pippin/error.h"

namespace pippin {

// An Error on its way through code that cannot return one.
class Fault : public std::exception {
 public:
  explicit Fault(Error error) : error_(std::move(error)), text_(error_.message()) {}
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
  std::string text_;
};

// The value of a Result, or its error thrown as a Fault. Only below guarded().
template <typename T>
T value_or_throw(Result<T> result) {
  if (!result) throw Fault(std::move(result).error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// The exception being handled, as an error; `doing` says what was going on: "loading llama-4bit". Only inside a catch
// block.
Error error_of_exception(const std::string& doing);

// What f gives, or the exception that it threw as an Error.
template <typename F>
auto guarded(const std::string& doing, F&& f) -> Result<std::invoke_result_t<F>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(f)();
      return {};
    } else {
      return std::forward<F>(f)();
    }
  } catch (...) {
    return tl::unexpected<Error>(error_of_exception(doing));
  }
}

}  // namespace pippin
