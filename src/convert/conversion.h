// The stages of a conversion, for those that bring the checkpoint's bytes themselves.
#pragma once

#include "pippin/convert.h"
#include "plan/plan.h"
#include "source/byte_supply.h"
#include "source/checkpoint.h"

namespace pippin {

// A checkpoint with the plan for it.
struct Prepared {
  Checkpoint checkpoint;
  Plan plan;
  ConvertReport report;
};

// open_source: gives the weight files for planning.
Result<Prepared> prepare(const ConvertOptions& options, const OpenSource& open_source = open_file);

// Writes the output. supply: where the weights come from, its files numbered as the checkpoint's; null: from the
// checkpoint itself. With one, an interrupted conversion of the same plan is always resumed, the source is read in the
// order of its files, and the output takes its place only when all of them are there with the right digest: what was
// made of wrong bytes is made again, three times at most.
Result<ConvertReport> run_conversion(Prepared prepared, const ConvertOptions& options, const ConvertHooks& hooks,
                                     ByteSupply* supply = nullptr);

}  // namespace pippin
