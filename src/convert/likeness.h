// Which known models a checkpoint of an unknown model_type could be, by its tensors.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "plan/request.h"
#include "source/checkpoint.h"
#include "spec/spec_library.h"

namespace pippin {

struct Likeness {
  // Specs whose every parameter the checkpoint has, in name and shape, and that have a use for all of it (but for a
  // twentieth of its bytes, such as buffers). The likeliest first: whose name stands in model_type or architectures,
  // then that most others extend, then by name.
  std::vector<std::string> specs;
  size_t untried = 0;  // specs for which the time did not suffice
};

// Plans the conversion by each spec of the target; reads no tensor. Ends after `limit`, wherever it is.
Likeness find_likeness(const Checkpoint& checkpoint, const SpecLibrary& library, Target target,
                       std::chrono::milliseconds limit);

// What to tell the user of it: "looks like llama (all parameters match): use --arch llama"; empty where nothing fits.
std::string offer_of(const Likeness& likeness);

}  // namespace pippin
