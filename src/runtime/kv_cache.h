// Keys and values of the tokens that a model has seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <mlx/array.h>

namespace pippin {

struct CacheOptions {
  std::optional<int> max_size;  // tokens; older ones but for the first four are forgotten (--max-kv-size)
  std::optional<int> bits;      // keys and values are quantized (--kv-bits)
  int group_size = 64;          // of that quantization
  int quantized_start = 0;      // tokens from which on they are
};

// What a layer keeps, as it lies in memory: one array each, or three where they are quantized (codes, scales, biases);
// [batch, heads, tokens, dim], oldest first.
struct KeptParts {
  std::vector<mlx::core::array> keys;
  std::vector<mlx::core::array> values;
};

// What an operation keeps of the tokens.
struct CacheKind {
  enum class Use {
    attention,  // keys and values, or keys that hold the values as well
    index,      // keys by which others are chosen
    recent,     // the latest tokens, for what mixes neighbours
    state,      // no tokens, but one array that each token changes
    groups,     // what stands for groups of tokens, and the keys beside it: mlx_lm's files have no form for these
  };
  Use use = Use::attention;
  std::optional<int> window;  // tokens beyond which a token is never looked at again; nothing: all are kept
  std::optional<int> chunk;   // a token is looked at within its chunk of so many positions alone
  std::optional<int> values;  // of keys that hold the values: their first elements, so many
  int layer = -1;             // the decoder's; -1 before and after them
  // In mlx_lm's files:
  bool keys_first = false;  // a state is [batch, heads, keys, values] there, too
  bool blanks = false;      // an index has zeros for values, otherwise none
};

// What one attention layer has seen. Positions count from the first token of all.
class LayerCache {
 public:
  // Options are for attention; what else is kept stays as it is.
  LayerCache(const CacheOptions& options, const CacheKind& kind)
      : options_(kind.use == CacheKind::Use::attention ? options : CacheOptions{}), kind_(kind) {}

  // Appends keys and values [batch, heads, n, dim].
  void append(const mlx::core::array& keys, const mlx::core::array& values);
  // The same without values: kept() gives values of no width.
  void append(const mlx::core::array& keys);
  // Appends rows [batch, heads, n, dim], n may be 0, that stand for groups of tokens, `tokens` more of which were seen.
  // From then on nothing is trimmed.
  void append_groups(const mlx::core::array& rows, int tokens);
  // The same for rows without heads, [batch, n, dim]: kept() gives them one.
  void append_rows(const mlx::core::array& rows);
  // All that are kept, oldest first; the last belong to the last token appended. Not before the first append.
  [[nodiscard]] std::pair<mlx::core::array, mlx::core::array> kept() const;

  // The arrays with room behind what is kept, [batch, heads, room, dim]; nothing where they are quantized.
  [[nodiscard]] std::optional<std::pair<mlx::core::array, mlx::core::array>> stores() const;

  // The state after the tokens so far; nothing before the first. A state is never trimmed.
  [[nodiscard]] const std::optional<mlx::core::array>& state() const { return state_; }
  void keep_state(mlx::core::array state, int tokens);
  void restore_state(mlx::core::array state, int seen);

  // Forgets the last n tokens. Not where older ones were forgotten that would be seen again.
  [[nodiscard]] bool can_trim(int n) const;
  void trim(int n);

  [[nodiscard]] int seen() const { return seen_; }      // tokens appended, less those trimmed
  [[nodiscard]] int length() const { return length_; }  // tokens kept
  [[nodiscard]] const CacheKind& kind() const { return kind_; }
  [[nodiscard]] bool has_heads() const { return has_heads_; }
  [[nodiscard]] bool of_attention() const { return kind_.use == CacheKind::Use::attention; }
  [[nodiscard]] std::optional<int> max_size() const { return options_.max_size; }
  [[nodiscard]] std::optional<int> window() const { return kind_.window; }
  [[nodiscard]] const CacheOptions& options() const { return options_; }
  [[nodiscard]] std::vector<mlx::core::array> arrays() const;  // to evaluate
  [[nodiscard]] uint64_t bytes() const;

  // What was kept, bit for bit, for a file; and back. parts: of a layer with the same options; `seen` tokens in all.
  [[nodiscard]] KeptParts parts() const;
  void restore(KeptParts parts, int seen);
  // Takes over what another one of the same kind has kept, by this one's own options.
  void take_over(const LayerCache& other);

 private:
  struct Store {  // [batch, heads, room, dim], or its quantized parts; begin..end are used
    std::vector<mlx::core::array> parts;
  };
  [[nodiscard]] bool packs(const mlx::core::array& x) const { return options_.bits && x.shape(3) > 0; }
  void grow(Store& store, const mlx::core::array& like, int more);
  void put(Store& store, const mlx::core::array& added);
  [[nodiscard]] mlx::core::array used(const Store& store) const;
  void forget_old();
  void drop_front(int keep_first, int count);
  void restore(const mlx::core::array& keys, const mlx::core::array& values, int seen);

  CacheOptions options_;
  CacheKind kind_;
  std::optional<mlx::core::array> state_;
  Store keys_;
  Store values_;
  std::optional<mlx::core::Dtype> dtype_;
  int length_ = 0;
  int room_ = 0;
  int seen_ = 0;
  bool forgotten_ = false;
  bool has_groups_ = false;
  bool has_heads_ = true;
};

// One for each operation of a decoder that keeps something.
class KvCache {
 public:
  KvCache(const CacheOptions& options, const std::vector<CacheKind>& kinds);

  // Tokens seen; the position of the next one.
  [[nodiscard]] int offset() const { return layers_.empty() ? 0 : layers_.front().seen(); }
  [[nodiscard]] LayerCache& layer(size_t slot) { return layers_[slot]; }
  [[nodiscard]] const std::vector<LayerCache>& layers() const { return layers_; }
  [[nodiscard]] size_t size() const { return layers_.size(); }

  // Forgets the last n tokens in all layers; false, and nothing done, where one of them cannot.
  [[nodiscard]] bool trim(int n);
  [[nodiscard]] std::vector<mlx::core::array> arrays() const;
  [[nodiscard]] uint64_t bytes() const;

 private:
  std::vector<LayerCache> layers_;
};

}  // namespace pippin
