#include "runtime/recurrence.h"

#include <algorithm>
#include <vector>

#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

constexpr int longest_chunk = 64;

// Token t of [batch, length, ..], without its axis.
mx::array token(const mx::array& x, int t) {
  mx::Shape from(x.ndim(), 0);
  mx::Shape to = x.shape();
  from[1] = t;
  to[1] = t + 1;
  return mx::squeeze(mx::slice(x, from, to), 1);
}

// x [.., rows, columns], cut to these.
mx::array block(const mx::array& x, int row, int column, int size) {
  mx::Shape from(x.ndim(), 0);
  mx::Shape to = x.shape();
  from[x.ndim() - 2] = row;
  from[x.ndim() - 1] = column;
  to[x.ndim() - 2] = row + size;
  to[x.ndim() - 1] = column + size;
  return mx::slice(x, from, to);
}

// (1 + a)^-1 for what a [.., n, n] has below the diagonal, n a power of two. The inverses of blocks on the diagonal
// give those of blocks twice as wide.
mx::array inverse_of_one_plus_lower(const mx::array& a) {
  const int n = a.shape(-1);
  const int outer = static_cast<int>(a.ndim()) - 2;
  const auto shaped = [&](const mx::Shape& inner) {
    mx::Shape shape(a.shape().begin(), a.shape().begin() + outer);
    shape.insert(shape.end(), inner.begin(), inner.end());
    return shape;
  };
  mx::array inverse = mx::ones(shaped({n, 1, 1}), a.dtype());
  for (int size = 1; size < n; size *= 2) {
    const int pairs = n / (2 * size);
    const mx::array wide = mx::reshape(a, shaped({pairs, 2 * size, pairs, 2 * size}));
    const mx::array below = block(mx::moveaxis(mx::diagonal(wide, 0, outer, outer + 2), -1, outer), size, 0, size);
    const auto halves = mx::split(mx::reshape(inverse, shaped({pairs, 2, size, size})), 2, outer + 1);
    const mx::array first = mx::squeeze(halves[0], outer + 1);
    const mx::array second = mx::squeeze(halves[1], outer + 1);
    const mx::array corner = mx::negative(mx::matmul(second, mx::matmul(below, first)));
    inverse = mx::concatenate(
        {mx::concatenate({first, mx::zeros_like(first)}, -1), mx::concatenate({corner, second}, -1)}, -2);
  }
  return mx::reshape(inverse, a.shape());
}

// [batch, length, heads, width] -> [batch, heads, chunks, chunk, width], filled up with `filler`.
mx::array by_chunks(const mx::array& x, int chunk, float filler) {
  const int chunks = (x.shape(1) + chunk - 1) / chunk;
  const mx::array heads = mx::transpose(x, {0, 2, 1, 3});
  const mx::array padded =
      mx::pad(heads, {{0, 0}, {0, 0}, {0, chunks * chunk - x.shape(1)}, {0, 0}}, mx::array(filler));
  return mx::reshape(padded, {x.shape(0), x.shape(2), chunks, chunk, x.shape(3)});
}

int chunk_of(int length) {
  int chunk = 1;
  while (chunk < std::min(length, longest_chunk)) chunk *= 2;
  return chunk;
}

// What all chunks have before the state is known, [batch, heads, chunks, chunk, ..].
struct Chunks {
  mx::array scores;                // q k^T, each times the decay between its two tokens, and none ahead
  mx::array queries;               // q times the decay since the chunk's start
  mx::array keys;                  // k times the decay up to its end
  mx::array values;                // what each token adds if the state before the chunk is zero,
  std::optional<mx::array> found;  // and what to take off by that state
  mx::array decay;                 // of the whole chunk, [batch, heads, chunks, 1, 1]
};

Chunks make_chunks(const DeltaInputs& in, int chunk) {
  const int repeats = in.v.shape(2) / in.q.shape(2);
  const mx::array q = by_chunks(mx::repeat(in.q, repeats, 2), chunk, 0);
  const mx::array k = by_chunks(mx::repeat(in.k, repeats, 2), chunk, 0);
  const mx::array v = by_chunks(in.v, chunk, 0);
  const mx::array decay = by_chunks(in.decay, chunk, 1);
  // between[i, j]: the product of the decays of tokens j + 1 .. i, or 0 for j > i.
  const mx::array after = mx::tril(mx::ones({chunk, chunk}, mx::bool_), -1);
  const mx::array since = mx::cumprod(mx::where(after, decay, mx::array(1.0F)), -2);
  const mx::array between = mx::tril(since);
  const mx::array since_start = mx::cumprod(decay, -2);
  const auto last = mx::Shape{0, 0, 0, chunk - 1, 0};
  mx::Shape end = since_start.shape();
  const mx::array whole = mx::slice(since_start, last, end);
  end = between.shape();
  const mx::array to_end = mx::swapaxes(mx::slice(between, last, end), -1, -2);
  const mx::array k_t = mx::swapaxes(k, -1, -2);
  Chunks chunks{mx::multiply(mx::matmul(q, k_t), between),
                mx::multiply(q, since_start),
                mx::multiply(k, to_end),
                v,
                std::nullopt,
                whole};
  if (!in.beta) return chunks;
  const mx::array beta = by_chunks(mx::expand_dims(*in.beta, -1), chunk, 0);
  const mx::array kept = mx::multiply(mx::multiply(mx::matmul(k, k_t), between), beta);
  const mx::array inverse = inverse_of_one_plus_lower(kept);
  chunks.values = mx::matmul(inverse, mx::multiply(v, beta));
  chunks.found = mx::matmul(inverse, mx::multiply(k, mx::multiply(since_start, beta)));
  return chunks;
}

}  // namespace

Recurrence delta_steps(const DeltaInputs& in, mx::array state) {
  std::vector<mx::array> results;
  const int repeats = in.v.shape(2) / in.q.shape(2);
  for (int t = 0; t < in.q.shape(1); ++t) {
    const mx::array key = mx::expand_dims(mx::repeat(token(in.k, t), repeats, 1), -1);
    const mx::array query = mx::expand_dims(mx::repeat(token(in.q, t), repeats, 1), -1);
    mx::array change = token(in.v, t);
    state = mx::multiply(state, mx::expand_dims(token(in.decay, t), -1));
    if (in.beta) {
      const mx::array found = mx::sum(mx::multiply(state, key), -2);
      change = mx::multiply(mx::subtract(change, found), mx::expand_dims(token(*in.beta, t), -1));
    }
    state = mx::add(state, mx::multiply(key, mx::expand_dims(change, -2)));
    results.push_back(mx::sum(mx::multiply(state, query), -2));
  }
  return {mx::stack(results, 1), state};
}

Recurrence delta_chunks(const DeltaInputs& in, mx::array state) {
  const int chunk = chunk_of(in.q.shape(1));
  const Chunks all = make_chunks(in, chunk);
  std::vector<mx::array> results;
  for (int c = 0; c < all.values.shape(2); ++c) {
    const auto here = [c](const mx::array& x) { return mx::take(x, c, 2); };
    mx::array added = here(all.values);
    if (all.found) added = mx::subtract(added, mx::matmul(here(*all.found), state));
    results.push_back(mx::add(mx::matmul(here(all.queries), state), mx::matmul(here(all.scores), added)));
    state = mx::add(mx::multiply(state, here(all.decay)), mx::matmul(mx::swapaxes(here(all.keys), -1, -2), added));
  }
  const mx::array heads = results.size() == 1 ? results[0] : mx::concatenate(results, 2);
  const mx::Shape shape{in.v.shape(0), in.v.shape(2), in.v.shape(1), in.v.shape(3)};
  return {mx::transpose(mx::slice(heads, mx::Shape(4, 0), shape), {0, 2, 1, 3}), state};
}

Recurrence transition_steps(const TransitionInputs& in, mx::array state) {
  std::vector<mx::array> results;
  for (int t = 0; t < in.q.shape(1); ++t) {
    const auto column = [t](const mx::array& x) { return mx::expand_dims(token(x, t), -1); };
    const mx::array found = mx::sum(mx::multiply(state, column(in.a)), -2, true);
    const mx::array value = mx::expand_dims(token(in.v, t), -2);
    const mx::array added = mx::add(mx::multiply(column(in.k), value), mx::multiply(column(in.b), found));
    state = mx::add(mx::multiply(state, column(in.decay)), added);
    results.push_back(mx::sum(mx::multiply(state, column(in.q)), -2));
  }
  return {mx::stack(results, 1), state};
}

}  // namespace pippin
