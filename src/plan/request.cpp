#include "plan/request.h"

namespace pippin {

std::string_view name_of(Target target) {
  return target == Target::mlx_lm ? "mlx-lm" : "mlx-vlm";
}
std::string_view folder_of(Target target) {
  return target == Target::mlx_lm ? "mlx_lm" : "mlx_vlm";
}

}  // namespace pippin
