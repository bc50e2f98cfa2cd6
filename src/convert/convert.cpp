#include "pippin/convert.h"

#include "convert/conversion.h"

namespace pippin {

Result<ConvertReport> plan_conversion(const ConvertOptions& options) {
  PIPPIN_TRY(Prepared prepared, prepare(options));
  return std::move(prepared.report);
}

Result<ConvertReport> convert(const ConvertOptions& options, const ConvertHooks& hooks) {
  PIPPIN_TRY(Prepared prepared, prepare(options));
  return run_conversion(std::move(prepared), options, hooks);
}

}  // namespace pippin
