#include <cmath>

#include <mlx/ops.h>

#include "runtime/block_rounding.h"
#include "runtime/fault.h"
#include "runtime/host_layers.h"
#include "runtime/mlx_dtype.h"
#include "runtime/operation.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

// Both operands; a number takes the other's dtype, as Python's numbers do.
std::pair<mx::array, mx::array> operands(StepInputs inputs) {
  const StepValue& x = *inputs[0];
  const StepValue& y = *inputs[1];
  if (x.array && y.array) return {*x.array, *y.array};
  if (x.array && y.number) return {*x.array, scalar(*y.number, *x.array)};
  if (x.number && y.array) return {scalar(*x.number, *y.array), *y.array};
  throw Fault({ErrorTag::bad_spec, "one side of an operator is an array", "two numbers", "", {}});
}

using Binary = mx::array (*)(const mx::array&, const mx::array&, mx::StreamOrDevice);

template <Binary f>
Operation binary(const OperationSite&) {
  return [](StepInputs inputs, Pass&) {
    const auto sides = operands(inputs);
    return one(f(sides.first, sides.second, {}));
  };
}

using Unary = mx::array (*)(const mx::array&);

template <Unary f>
Operation unary(const OperationSite&) {
  return [](StepInputs inputs, Pass&) { return one(f(array_of(inputs, 0))); };
}

// The same by pippin's kernel where there is one.
template <Unary f, Activation activation>
Operation activate_by(const OperationSite& site) {
  return [pool = site.pool](StepInputs inputs, Pass&) {
    if (pool) {
      if (auto y = host_activation(pool, activation, array_of(inputs, 0))) return one(*y);
    }
    return one(f(array_of(inputs, 0)));
  };
}

mx::array silu(const mx::array& x) {
  return mx::multiply(x, mx::sigmoid(x));
}

// x (1 + erf(x / sqrt(2))) / 2
mx::array gelu(const mx::array& x) {
  const mx::array half = mx::add(scalar(1, x), mx::erf(mx::divide(x, scalar(std::sqrt(2.0), x))));
  return mx::divide(mx::multiply(x, half), scalar(2, x));
}

// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
mx::array gelu_tanh(const mx::array& x) {
  const mx::array cube = mx::multiply(scalar(0.044715, x), mx::power(x, scalar(3, x)));
  const mx::array inner = mx::multiply(scalar(std::sqrt(2 / M_PI), x), mx::add(x, cube));
  return mx::multiply(mx::multiply(scalar(0.5, x), x), mx::add(scalar(1, x), mx::tanh(inner)));
}

// x sigmoid(1.702 x)
mx::array gelu_sigmoid(const mx::array& x) {
  return mx::multiply(x, mx::sigmoid(mx::multiply(scalar(1.702, x), x)));
}

mx::array relu(const mx::array& x) {
  return mx::maximum(x, scalar(0, x));
}
mx::array relu2(const mx::array& x) {
  return mx::square(relu(x));
}
mx::array softplus(const mx::array& x) {
  return mx::logaddexp(x, scalar(0, x));
}
mx::array tanh_of(const mx::array& x) {
  return mx::tanh(x);
}
mx::array sigmoid_of(const mx::array& x) {
  return mx::sigmoid(x);
}
mx::array exp_of(const mx::array& x) {
  return mx::exp(x);
}
mx::array log_of(const mx::array& x) {
  return mx::log(x);
}
mx::array floor_of(const mx::array& x) {
  return mx::floor(x);
}
mx::array sqrt_of(const mx::array& x) {
  return mx::sqrt(x);
}
mx::array rsqrt_of(const mx::array& x) {
  return mx::rsqrt(x);
}
mx::array rounded(const mx::array& x) {
  return mx::round(x);
}
mx::array erf_of(const mx::array& x) {
  return mx::erf(x);
}
mx::array erfinv_of(const mx::array& x) {
  return mx::erfinv(x);
}

// x where the condition holds, else y; one of them may be a number.
Operation where(const OperationSite&) {
  return [](StepInputs inputs, Pass&) {
    const auto sides = operands(inputs.subspan(1));
    return one(mx::where(array_of(inputs, 0), sides.first, sides.second));
  };
}

Operation cast(const OperationSite& site) {
  return [dtype = mlx_dtype_named(site.text("dtype"))](StepInputs inputs, Pass&) {
    const StepValue& x = *inputs[0];
    if (x.number) return one(mx::array(static_cast<float>(*x.number), dtype));
    return one(mx::astype(array_of(inputs, 0), dtype));
  };
}

Operation cast_like(const OperationSite&) {
  return [](StepInputs inputs, Pass&) { return one(mx::astype(array_of(inputs, 0), array_of(inputs, 1).dtype())); };
}

Operation softmax(const OperationSite& site) {
  const int axis = site.integer("axis");
  return [precise = site.flag("precise"), axis](StepInputs inputs, Pass&) {
    return one(mx::softmax(array_of(inputs, 0), axis, precise));
  };
}

// silu(gate) x
Operation swiglu(const OperationSite& site) {
  return [pool = site.pool](StepInputs inputs, Pass&) {
    if (pool) {
      if (auto y = host_gated(pool, Activation::silu, array_of(inputs, 0), array_of(inputs, 1))) return one(*y);
    }
    return one(mx::multiply(silu(array_of(inputs, 0)), array_of(inputs, 1)));
  };
}

// cap tanh(x / cap)
Operation softcap(const OperationSite& site) {
  return [cap = site.number("cap")](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    return one(mx::multiply(mx::tanh(mx::divide(x, scalar(cap, x))), scalar(cap, x)));
  };
}

// x > 0: p x^2 + beta x; else n (e^min(x, eps) - 1 - x) + beta x, with p = softplus(alpha_p) and
// n = beta + softplus(alpha_n) (Huang and Schlag 2024, arXiv:2411.13010).
Operation xielu(const OperationSite& site) {
  const std::string at = site.text("at");
  const auto load = [&](const char* name) { return value_or_throw(site.weights.load(at + "." + name)); };
  const mx::array beta = load("beta");
  const mx::array eps = load("eps");
  const mx::array p = softplus(load("alpha_p"));
  const mx::array n = mx::add(beta, softplus(load("alpha_n")));
  return [=](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    const mx::array line = mx::multiply(beta, x);
    const mx::array above = mx::add(mx::multiply(p, mx::square(x)), line);
    const mx::array bend = mx::subtract(mx::expm1(mx::minimum(x, eps)), x);
    const mx::array below = mx::add(mx::multiply(bend, n), line);
    return one(mx::where(mx::greater(x, scalar(0, x)), above, below));
  };
}

Operation clip(const OperationSite& site) {
  const bool has_low = site.given("low");
  const bool has_high = site.given("high");
  const double low = has_low ? site.number("low") : 0;
  const double high = has_high ? site.number("high") : 0;
  return [=](StepInputs inputs, Pass&) {
    mx::array x = array_of(inputs, 0);
    if (has_low) x = mx::maximum(x, scalar(low, x));
    if (has_high) x = mx::minimum(x, scalar(high, x));
    return one(x);
  };
}

// As formats with a scale for each block would keep it.
Operation block_rounded_of(const OperationSite& site) {
  const std::string format = site.text("format");
  const std::string scales = site.text("scales");
  const int size = site.integer("size");
  if ((format != "fp8" && format != "fp4") || (scales != "power_of_two" && scales != "e4m3") || size < 1)
    throw Fault({ErrorTag::bad_spec, "blocks are of fp8 or fp4, their scales power_of_two or e4m3", format, "", {}});
  const BlockRounding rounding{format == "fp8" ? SmallFloat::fp8 : SmallFloat::fp4,
                               scales == "e4m3" ? BlockScale::e4m3 : BlockScale::power_of_two, size};
  return [rounding](StepInputs inputs, Pass&) { return one(block_rounded(array_of(inputs, 0), rounding)); };
}

// Columns are divided by their sums + eps, then rows and columns in turn, steps - 1 times more (Sinkhorn and Knopp
// 1967): the last two axes become nearly doubly stochastic.
Operation sinkhorn(const OperationSite& site) {
  const int steps = site.integer("steps");
  if (steps > 1000) throw Fault({ErrorTag::bad_config, "at most 1000 steps are taken", std::to_string(steps), "", {}});
  const auto eps = static_cast<float>(site.number("eps"));
  return [steps, eps](StepInputs inputs, Pass&) {
    mx::array x = array_of(inputs, 0);
    const auto divide = [&x, added = mx::array(eps, x.dtype())](int axis) {
      x = mx::divide(x, mx::add(mx::sum(x, axis, true), added));
    };
    divide(-2);
    for (int k = 1; k < steps; ++k) {
      divide(-1);
      divide(-2);
    }
    return one(x);
  };
}

}  // namespace

const OperationTable& element_operations() {
  static const OperationTable table{
      {"add", binary<mx::add>},
      {"subtract", binary<mx::subtract>},
      {"multiply", binary<mx::multiply>},
      {"divide", binary<mx::divide>},
      {"power", binary<mx::power>},
      {"remainder", binary<mx::remainder>},
      {"maximum", binary<mx::maximum>},
      {"minimum", binary<mx::minimum>},
      {"silu", activate_by<silu, Activation::silu>},
      {"gelu", activate_by<gelu, Activation::gelu>},
      {"gelu_tanh", activate_by<gelu_tanh, Activation::gelu_tanh>},
      {"gelu_sigmoid", activate_by<gelu_sigmoid, Activation::gelu_sigmoid>},
      {"relu", unary<relu>},
      {"relu2", activate_by<relu2, Activation::relu_squared>},
      {"softplus", unary<softplus>},
      {"tanh", unary<tanh_of>},
      {"sigmoid", unary<sigmoid_of>},
      {"exp", unary<exp_of>},
      {"log", unary<log_of>},
      {"floor", unary<floor_of>},
      {"sqrt", unary<sqrt_of>},
      {"rsqrt", unary<rsqrt_of>},
      {"erf", unary<erf_of>},
      {"erfinv", unary<erfinv_of>},
      {"less", binary<mx::less>},
      {"where", where},
      {"cast", cast},
      {"cast_like", cast_like},
      {"softmax", softmax},
      {"swiglu", swiglu},
      {"softcap", softcap},
      {"xielu", xielu},
      {"rounded", unary<rounded>},
      {"clip", clip},
      {"block_rounded", block_rounded_of},
      {"sinkhorn", sinkhorn},
  };
  return table;
}

}  // namespace pippin
