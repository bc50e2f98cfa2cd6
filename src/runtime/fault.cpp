#include "runtime/fault.h"

#include <new>

#include <nlohmann/json.hpp>

namespace pippin {

Error error_of_exception(const std::string& doing) {
  try {
    throw;
  } catch (const Fault& fault) {
    return fault.error();
  } catch (const nlohmann::json::exception& error) {
    return {ErrorTag::bad_config,
            "a model's settings have the types that its decoder needs",
            doing + ": " + error.what(),
            "check config.json against the original repository",
            {}};
  } catch (const std::bad_alloc&) {
    return {ErrorTag::io,
            "the memory is enough",
            doing + ": out of memory",
            "use a smaller or a quantized model, or fewer tokens",
            {}};
  } catch (const std::exception& error) {
    return {ErrorTag::io,
            "MLX does what it is asked for",
            doing + ": " + error.what(),
            "`pippin verify` tells whether the model's files are sound",
            {}};
  }
}

}  // namespace pippin
