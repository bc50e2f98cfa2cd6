// When a request is worth another try, and after how long.
#pragma once

#include <functional>
#include <optional>

#include "hub/http_client.h"

namespace pippin {

// Whether the status tells of a passing trouble: 408, 429, 500, 502, 503, 504.
bool is_passing(long status);

// Seconds to wait after the N-th failure in a row (1 for the first): 1, 2, 4, 8, 8, then nothing: give up.
std::optional<double> delay_after(int failures);

// The same for an answer, which may say itself how long: that and one second more. Nothing for more than ten minutes.
std::optional<double> delay_after(int failures, const HttpAnswer& answer);

// Waits; false where the wait was cut short by the user.
using Wait = std::function<bool(double seconds)>;

}  // namespace pippin
