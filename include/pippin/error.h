// The one error type of pippin, and the result type that carries it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace pippin {

// What kind of thing went wrong. Each tag has its own exit status in the command line tool.
enum class ErrorTag {
  usage,        // options that contradict each other or make no sense
  not_found,    // a file, folder, tensor or config field that must be there is not
  bad_file,     // a file whose content breaks its format
  bad_config,   // config.json lacks a needed field or has one of the wrong type
  bad_spec,     // an architecture spec or recipe file that cannot be used
  unsupported,  // a model, dtype or source quantization that pippin does not convert
  mismatch,     // tensors missing, unexpected or misshapen
  nonfinite,    // NaN or infinity in the weights, or an overflow by a cast
  destination,  // the output folder exists, overlaps the source or cannot be written
  no_space,     // the disk is full
  io,           // any other failure of the operating system
  interrupted,  // stopped by a signal
  incomplete,   // what was written is not what was planned
  network,      // a server cannot be reached, or gives answers that cannot be used
  denied,       // a server wants a token, another token, or an agreement that was not given
};

// The tag's name, as it stands in messages and in --json ("bad_file").
std::string_view name_of(ErrorTag tag);

// An error as a value: which rule was broken, by what value, where, and what the user can do.
struct Error {
  ErrorTag tag;
  std::string rule;                  // what must hold: "a tensor's bytes lie inside its file"
  std::string value;                 // what was found, with its place: "model.safetensors: lm_head.weight ends at 912"
  std::string way_out;               // what to do about it: "download the file again"
  std::vector<std::string> details;  // a list where there are several offenders, one a line

  // All of it as text, one to three lines and the details.
  [[nodiscard]] std::string message() const;
};

template <typename T>
using Result = tl::expected<T, Error>;

using Status = Result<void>;

// Wraps an Error for returning from a function with a Result.
inline tl::unexpected<Error> fail(ErrorTag tag, std::string rule, std::string value, std::string way_out = {},
                                  std::vector<std::string> details = {}) {
  return tl::unexpected<Error>(Error{tag, std::move(rule), std::move(value), std::move(way_out), std::move(details)});
}

}  // namespace pippin

// Returns the error of a Status from the enclosing function.
#define PIPPIN_CHECK(expression)                                                \
  do {                                                                          \
    if (auto pippin_status = (expression); !pippin_status)                      \
      return tl::unexpected<::pippin::Error>(std::move(pippin_status).error()); \
  } while (false)

#define PIPPIN_JOIN_INNER(a, b) a##b
#define PIPPIN_JOIN(a, b) PIPPIN_JOIN_INNER(a, b)

// PIPPIN_TRY(auto x, f()): declares x with the value of a Result, or returns its error.
#define PIPPIN_TRY(declaration, expression)                                                           \
  auto PIPPIN_JOIN(pippin_result_, __LINE__) = (expression);                                          \
  if (!PIPPIN_JOIN(pippin_result_, __LINE__))                                                         \
    return tl::unexpected<::pippin::Error>(std::move(PIPPIN_JOIN(pippin_result_, __LINE__)).error()); \
  declaration = std::move(*PIPPIN_JOIN(pippin_result_, __LINE__))
