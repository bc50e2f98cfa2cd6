#include "naive_value.h"

#include <cmath>
#include <cstring>

#include "execute/functions.h"
#include "execute/rotary_angles.h"
#include "quantize/quantize.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

using Index = std::vector<int64_t>;

Index index_of(int64_t position, const Shape& shape) {
  Index index(shape.size());
  for (size_t k = shape.size(); k-- > 0;) {
    index[k] = position % shape[k];
    position /= shape[k];
  }
  return index;
}

int64_t position_of(const Index& index, const Shape& shape) {
  int64_t position = 0;
  for (size_t k = 0; k < shape.size(); k++) position = position * shape[k] + index[k];
  return position;
}

double number_at(DType dtype, const Bytes& bytes, int64_t position) {
  double number = 0;
  cast(dtype, bytes.data() + position * static_cast<int64_t>(size_of(dtype)), DType::F64, &number, 1);
  return number;
}

struct Naive {
  const Recipe& recipe;
  const std::vector<TinyTensor>& tensors;
  Rounding rounding;
  std::vector<Bytes> inputs;

  // Result elements picked from inputs: pick(index) gives input and index in it.
  template <typename Pick>
  Bytes picked(Pick pick) const {
    const size_t size = size_of(recipe.dtype);
    Bytes out;
    for (int64_t i = 0; i < element_count(recipe.shape); i++) {
      const auto [number, index] = pick(index_of(i, recipe.shape));
      const auto at =
          inputs[number].begin() + position_of(index, recipe.inputs[number]->shape) * static_cast<int64_t>(size);
      out.insert(out.end(), at, at + static_cast<int64_t>(size));
    }
    return out;
  }

  Bytes operator()(const FromSource& op) const { return tensors[op.tensor].bytes; }
  Bytes operator()(const Constant& op) const {
    return numbers(recipe.dtype, std::vector<double>(static_cast<size_t>(element_count(recipe.shape)), op.value));
  }
  Bytes operator()(const Slice& op) const {
    return picked([&](Index index) {
      auto& i = index[static_cast<size_t>(op.axis)];
      i = op.begin + i * op.step;
      return std::pair(size_t{0}, index);
    });
  }
  Bytes operator()(const Concat& op) const {
    return picked([&](Index index) {
      auto& i = index[static_cast<size_t>(op.axis)];
      size_t number = 0;
      while (i >= recipe.inputs[number]->shape[static_cast<size_t>(op.axis)])
        i -= recipe.inputs[number++]->shape[static_cast<size_t>(op.axis)];
      return std::pair(number, index);
    });
  }
  Bytes operator()(const Transpose& op) const {
    return picked([&](const Index& index) {
      Index from(index.size());
      for (size_t k = 0; k < index.size(); k++) from[static_cast<size_t>(op.permutation[k])] = index[k];
      return std::pair(size_t{0}, from);
    });
  }
  Bytes operator()(const Reshape&) const { return inputs[0]; }
  Bytes operator()(const View&) const { return inputs[0]; }
  Bytes operator()(const Cast&) const {
    Bytes out(static_cast<size_t>(byte_size(recipe)));
    cast(recipe.inputs[0]->dtype, inputs[0].data(), recipe.dtype, out.data(), element_count(recipe.shape));
    return out;
  }
  Bytes operator()(const Arithmetic& op) const {
    const Shape& y_shape = recipe.inputs[1]->shape;
    const size_t lead = recipe.shape.size() - y_shape.size();
    Bytes out;
    for (int64_t i = 0; i < element_count(recipe.shape); i++) {
      const Index index = index_of(i, recipe.shape);
      Index y_index;
      for (size_t k = 0; k < y_shape.size(); k++) y_index.push_back(y_shape[k] == 1 ? 0 : index[lead + k]);
      const double x = number_at(recipe.dtype, inputs[0], i);
      const double y = number_at(recipe.dtype, inputs[1], position_of(y_index, y_shape));
      const Bytes element =
          recipe.dtype == DType::F64 ? numbers(DType::F64, {result(op.op, x, y)}) : narrow(op.op, x, y);
      out.insert(out.end(), element.begin(), element.end());
    }
    return out;
  }
  Bytes narrow(Arithmetic::Op op, double x, double y) const {
    const float value = result(op, static_cast<float>(x), static_cast<float>(y));
    Bytes out(size_of(recipe.dtype));
    cast(DType::F32, &value, recipe.dtype, out.data(), 1);
    return out;
  }
  template <typename T>
  static T result(Arithmetic::Op op, T x, T y) {
    switch (op) {
      case Arithmetic::Op::add:
        return x + y;
      case Arithmetic::Op::subtract:
        return x - y;
      case Arithmetic::Op::multiply:
        return x * y;
      case Arithmetic::Op::divide:
        return x / y;
      default:
        return x > y || std::isnan(x) ? x : y;
    }
  }
  Bytes operator()(const DequantizeBlocks& op) const {
    const Shape& scale_shape = recipe.inputs[1]->shape;
    Bytes out;
    for (int64_t i = 0; i < element_count(recipe.shape); i++) {
      Index index = index_of(i, recipe.shape);
      index[index.size() - 2] /= op.block_rows;
      index.back() /= op.block_columns;
      const float weight =
          bf16_to_float(float_to_bf16(e4m3_to_float(static_cast<uint8_t>(inputs[0][static_cast<size_t>(i)]))));
      const DType scale_dtype = recipe.inputs[1]->dtype;
      float product = weight * static_cast<float>(number_at(scale_dtype, inputs[1], position_of(index, scale_shape)));
      if (scale_dtype == DType::BF16) product = bf16_to_float(float_to_bf16(product));
      Bytes element(size_of(recipe.dtype));
      cast(DType::F32, &product, recipe.dtype, element.data(), 1);
      out.insert(out.end(), element.begin(), element.end());
    }
    return out;
  }
  Bytes operator()(const Dequantize& op) const {
    Bytes out(static_cast<size_t>(byte_size(recipe)));
    const int64_t columns = recipe.shape.back();
    dequantize_rows(op.format, recipe.inputs[1]->dtype, reinterpret_cast<const uint32_t*>(inputs[0].data()),
                    inputs[1].data(), inputs.size() > 2 ? inputs[2].data() : nullptr,
                    element_count(recipe.shape) / columns, columns, out.data(), recipe.dtype);
    return out;
  }
  Bytes operator()(const QuantizePart& op) const {
    const Recipe& dense = *recipe.inputs[0];
    const int64_t columns = dense.shape.back();
    const int64_t rows = element_count(dense.shape) / columns;
    const PackedRow row = packed_row(op.format, columns);
    Bytes packed(static_cast<size_t>(rows * row.words * 4));
    const size_t group = row_of(op.format.mode).has_biases ? size_of(dense.dtype) : 1;
    Bytes scales(static_cast<size_t>(rows * row.groups) * group);
    Bytes biases(scales.size());
    quantize_rows(op.format, rounding, dense.dtype, inputs[0].data(), rows, columns,
                  reinterpret_cast<uint32_t*>(packed.data()), scales.data(), biases.data());
    return op.part == QuantizePart::Part::weight ? packed : op.part == QuantizePart::Part::scales ? scales : biases;
  }
  Bytes operator()(const Norm& op) const {
    const Shape& shape = recipe.inputs[0]->shape;
    const auto axis = static_cast<size_t>(op.axis);
    Bytes out;
    for (int64_t i = 0; i < element_count(recipe.shape); i++) {
      Index index = index_of(i, recipe.shape);
      float sum = 0;
      for (index[axis] = 0; index[axis] < shape[axis]; index[axis]++) {
        const auto value = static_cast<float>(number_at(DType::F32, inputs[0], position_of(index, shape)));
        sum += value * value;
      }
      const Bytes element = bytes_of<float>({std::sqrt(sum)});
      out.insert(out.end(), element.begin(), element.end());
    }
    return out;
  }
  Bytes operator()(const Exponent&) const {
    Bytes out;
    for (int64_t i = 0; i < element_count(recipe.shape); i++) out.push_back(static_cast<std::byte>(word_at(i) >> 23));
    return out;
  }
  Bytes operator()(const UnpackCodes& op) const {
    constexpr int awq_places[] = {0, 4, 1, 5, 2, 6, 3, 7};
    const int a_word = 32 / op.bits;
    Bytes out;
    for (int64_t i = 0; i < element_count(recipe.shape); i++) {
      const auto k = static_cast<int>(i % a_word);
      const int place = op.awq ? awq_places[k] : k;
      out.push_back(static_cast<std::byte>(word_at(i / a_word) >> (place * op.bits) & ((1u << op.bits) - 1)));
    }
    return out;
  }
  Bytes operator()(const PackCodes& op) const {
    const int a_word = 32 / op.bits;
    std::vector<uint32_t> words(static_cast<size_t>(element_count(recipe.shape)));
    for (size_t i = 0; i < inputs[0].size(); i++)
      words[i / static_cast<size_t>(a_word)] |= static_cast<uint32_t>(inputs[0][i])
                                                << (static_cast<int>(i) % a_word * op.bits);
    return bytes_of(words);
  }
  Bytes operator()(const Function& op) const {
    Bytes out = inputs[0];
    apply_function(op.kind, reinterpret_cast<float*>(out.data()), element_count(recipe.shape));
    return out;
  }
  Bytes operator()(const MatrixProduct&) const {
    const int64_t inner = recipe.inputs[0]->shape[1];
    const int64_t columns = recipe.shape[1];
    Bytes out(static_cast<size_t>(byte_size(recipe)));
    for (int64_t i = 0; i < element_count(recipe.shape); i++) {
      float sum = 0;
      for (int64_t k = 0; k < inner; k++) {
        const auto x = static_cast<float>(number_at(recipe.dtype, inputs[0], i / columns * inner + k));
        sum += x * static_cast<float>(number_at(recipe.dtype, inputs[1], k * columns + i % columns));
      }
      cast(DType::F32, &sum, recipe.dtype, out.data() + i * static_cast<int64_t>(size_of(recipe.dtype)), 1);
    }
    return out;
  }
  Bytes operator()(const RotaryTable& op) const {
    const std::vector<float> frequencies = rotary_frequencies(op.base, 2 * recipe.shape[1]);
    std::vector<float> out;
    for (int64_t i = 0; i < element_count(recipe.shape); i++) {
      const int64_t position = i / recipe.shape[1];
      const float angle = static_cast<float>(position) * frequencies[static_cast<size_t>(i % recipe.shape[1])];
      out.push_back(op.kind == RotaryTable::Kind::cosine ? mlx_cosine(angle) : mlx_sine(angle));
    }
    return bytes_of(out);
  }
  Bytes operator()(const Broadcast&) const {
    const Shape& shape = recipe.inputs[0]->shape;
    return picked([&](const Index& index) {
      Index from(index.end() - static_cast<std::ptrdiff_t>(shape.size()), index.end());
      for (size_t k = 0; k < shape.size(); k++) from[k] = shape[k] == 1 ? 0 : from[k];
      return std::pair(size_t{0}, from);
    });
  }
  Bytes operator()(const Take& op) const {
    return picked([&](Index index) {
      auto& i = index[static_cast<size_t>(op.axis)];
      i = (*op.places)[static_cast<size_t>(i)];
      return std::pair(size_t{0}, index);
    });
  }
  [[nodiscard]] uint32_t word_at(int64_t i) const {
    uint32_t word = 0;
    std::memcpy(&word, inputs[0].data() + i * 4, 4);
    return word;
  }
};

}  // namespace

Bytes naive_value(const Recipe& recipe, const std::vector<TinyTensor>& tensors, Rounding rounding) {
  std::vector<Bytes> inputs;
  for (const auto& input : recipe.inputs) inputs.push_back(naive_value(*input, tensors, rounding));
  return std::visit(Naive{recipe, tensors, rounding, std::move(inputs)}, recipe.op);
}

Bytes naive_box(const Bytes& whole, const Shape& shape, size_t element, const Box& box) {
  Bytes out;
  Shape extents;
  for (int k = 0; k < box.rank; k++) extents.push_back(box.extent(k));
  for (int64_t i = 0; i < box.count(); i++) {
    Index index = index_of(i, extents);
    for (size_t k = 0; k < index.size(); k++) index[k] += box.lo[k];
    const auto at = whole.begin() + position_of(index, shape) * static_cast<int64_t>(element);
    out.insert(out.end(), at, at + static_cast<int64_t>(element));
  }
  return out;
}

}  // namespace pippin
