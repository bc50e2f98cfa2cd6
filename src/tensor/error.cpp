#include "pippin/error.h"

namespace pippin {

std::string_view name_of(ErrorTag tag) {
  switch (tag) {
    case ErrorTag::usage:
      return "usage";
    case ErrorTag::not_found:
      return "not_found";
    case ErrorTag::bad_file:
      return "bad_file";
    case ErrorTag::bad_config:
      return "bad_config";
    case ErrorTag::bad_spec:
      return "bad_spec";
    case ErrorTag::unsupported:
      return "unsupported";
    case ErrorTag::mismatch:
      return "mismatch";
    case ErrorTag::nonfinite:
      return "nonfinite";
    case ErrorTag::destination:
      return "destination";
    case ErrorTag::no_space:
      return "no_space";
    case ErrorTag::io:
      return "io";
    case ErrorTag::interrupted:
      return "interrupted";
    case ErrorTag::incomplete:
      return "incomplete";
    case ErrorTag::network:
      return "network";
    case ErrorTag::denied:
      return "denied";
  }
  return "unknown";
}

std::string Error::message() const {
  std::string text = value;
  if (!rule.empty()) text += (text.empty() ? "" : "\n  rule: ") + rule;
  for (const auto& detail : details) text += "\n  - " + detail;
  if (!way_out.empty()) text += "\n  what to do: " + way_out;
  return text;
}

}  // namespace pippin
