// Writes the checkpoints that bench/run converts.
//
//   bench_make_checkpoint llama-1b FOLDER          1.24 billion parameters in BF16, values from the ghost formula
//   bench_make_checkpoint qwen2-72b FOLDER         145 GB of holes: shapes of Qwen2-72B, all values zero, no disk taken
//   bench_make_checkpoint qwen2-vl-72b FOLDER      the same for Qwen2-VL-72B
//   bench_make_checkpoint qwen3-moe-128 FOLDER     61 GB of holes: shapes of Qwen3-30B-A3B, 128 experts a layer
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ghost/ghost.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

class Shapes {
 public:
  void add(const std::string& name, GhostShape shape) { tensors_.push_back({name, "BF16", std::move(shape)}); }
  void linear(const std::string& name, int64_t out, int64_t in, bool bias) {
    add(name + ".weight", {out, in});
    if (bias) add(name + ".bias", {out});
  }
  [[nodiscard]] const std::vector<SparseTensor>& tensors() const { return tensors_; }

 private:
  std::vector<SparseTensor> tensors_;
};

struct Decoder {
  std::string prefix;
  int64_t layers, width, inner, heads, kv_heads, head_dim, vocabulary;
  bool qkv_bias, qk_norm;
  int64_t experts;  // 0: dense
};

void add_attention(Shapes& shapes, const Decoder& d, const std::string& at) {
  shapes.linear(at + ".q_proj", d.heads * d.head_dim, d.width, d.qkv_bias);
  shapes.linear(at + ".k_proj", d.kv_heads * d.head_dim, d.width, d.qkv_bias);
  shapes.linear(at + ".v_proj", d.kv_heads * d.head_dim, d.width, d.qkv_bias);
  shapes.linear(at + ".o_proj", d.width, d.heads * d.head_dim, false);
  if (!d.qk_norm) return;
  shapes.add(at + ".q_norm.weight", {d.head_dim});
  shapes.add(at + ".k_norm.weight", {d.head_dim});
}

void add_mlp(Shapes& shapes, const Decoder& d, const std::string& at) {
  shapes.linear(at + ".gate_proj", d.inner, d.width, false);
  shapes.linear(at + ".up_proj", d.inner, d.width, false);
  shapes.linear(at + ".down_proj", d.width, d.inner, false);
}

void add_decoder(Shapes& shapes, const Decoder& d) {
  shapes.add(d.prefix + "embed_tokens.weight", {d.vocabulary, d.width});
  for (int64_t i = 0; i < d.layers; ++i) {
    const std::string layer = fmt::format("{}layers.{}", d.prefix, i);
    shapes.add(layer + ".input_layernorm.weight", {d.width});
    add_attention(shapes, d, layer + ".self_attn");
    shapes.add(layer + ".post_attention_layernorm.weight", {d.width});
    if (d.experts == 0) {
      add_mlp(shapes, d, layer + ".mlp");
      continue;
    }
    shapes.linear(layer + ".mlp.gate", d.experts, d.width, false);
    for (int64_t e = 0; e < d.experts; ++e) add_mlp(shapes, d, fmt::format("{}.mlp.experts.{}", layer, e));
  }
  shapes.add(d.prefix + "norm.weight", {d.width});
}

Json config_of(const char* model_type, const Decoder& d) {
  Json config = {
      {"model_type", model_type},     {"hidden_size", d.width},           {"num_hidden_layers", d.layers},
      {"intermediate_size", d.inner}, {"num_attention_heads", d.heads},   {"num_key_value_heads", d.kv_heads},
      {"head_dim", d.head_dim},       {"vocab_size", d.vocabulary},       {"rms_norm_eps", 1e-6},
      {"rope_theta", 1000000.0},      {"max_position_embeddings", 32768}, {"tie_word_embeddings", false},
      {"torch_dtype", "bfloat16"}};
  if (d.experts > 0) {
    config["num_experts"] = d.experts;
    config["num_experts_per_tok"] = 8;
    config["decoder_sparse_step"] = 1;
    config["mlp_only_layers"] = Json::array();
    config["moe_intermediate_size"] = d.inner;
    config["norm_topk_prob"] = true;
  }
  return config;
}

void write_dense(const std::string& folder) {
  Decoder llama{"model.", 16, 2048, 8192, 32, 8, 64, 128256, false, false, 0};
  Shapes shapes;
  add_decoder(shapes, llama);
  Json config = config_of("llama", llama);
  config["tie_word_embeddings"] = true;
  Json source = Json::array();
  for (const auto& tensor : shapes.tensors()) source.push_back({tensor.name, tensor.dtype, tensor.shape});
  write_ghost({{"config", config}, {"source", source}}, folder);
}

void write_qwen2(const std::string& folder) {
  Decoder qwen{"model.", 80, 8192, 29568, 64, 8, 128, 152064, true, false, 0};
  Shapes shapes;
  add_decoder(shapes, qwen);
  shapes.linear("lm_head", qwen.vocabulary, qwen.width, false);
  write_sparse(config_of("qwen2", qwen), shapes.tensors(), folder);
}

void write_qwen2_vl(const std::string& folder) {
  Decoder qwen{"model.", 80, 8192, 29568, 64, 8, 128, 152064, true, false, 0};
  Shapes shapes;
  add_decoder(shapes, qwen);
  shapes.linear("lm_head", qwen.vocabulary, qwen.width, false);
  constexpr int64_t width = 1280;
  shapes.add("visual.patch_embed.proj.weight", {width, 3, 2, 14, 14});
  for (int i = 0; i < 32; ++i) {
    const std::string block = fmt::format("visual.blocks.{}", i);
    for (const char* norm : {".norm1", ".norm2"}) {
      shapes.add(block + norm + ".weight", {width});
      shapes.add(block + norm + ".bias", {width});
    }
    shapes.linear(block + ".attn.qkv", 3 * width, width, true);
    shapes.linear(block + ".attn.proj", width, width, true);
    shapes.linear(block + ".mlp.fc1", 4 * width, width, true);
    shapes.linear(block + ".mlp.fc2", width, 4 * width, true);
  }
  shapes.add("visual.merger.ln_q.weight", {width});
  shapes.add("visual.merger.ln_q.bias", {width});
  shapes.linear("visual.merger.mlp.0", 4 * width, 4 * width, true);
  shapes.linear("visual.merger.mlp.2", qwen.width, 4 * width, true);
  Json config = config_of("qwen2_vl", qwen);
  config["vision_config"] = {
      {"depth", 32},      {"embed_dim", width},      {"hidden_size", qwen.width}, {"num_heads", 16}, {"in_channels", 3},
      {"patch_size", 14}, {"spatial_merge_size", 2}, {"temporal_patch_size", 2},  {"mlp_ratio", 4}};
  write_sparse(config, shapes.tensors(), folder);
}

void write_moe(const std::string& folder) {
  Decoder qwen{"model.", 48, 2048, 768, 32, 4, 128, 151936, false, true, 128};
  Shapes shapes;
  add_decoder(shapes, qwen);
  shapes.linear("lm_head", qwen.vocabulary, qwen.width, false);
  write_sparse(config_of("qwen3_moe", qwen), shapes.tensors(), folder);
}

}  // namespace
}  // namespace pippin

int main(int argc, char** argv) {
  const std::string kind = argc > 2 ? argv[1] : "";
  try {
    if (kind == "llama-1b")
      pippin::write_dense(argv[2]);
    else if (kind == "qwen2-72b")
      pippin::write_qwen2(argv[2]);
    else if (kind == "qwen2-vl-72b")
      pippin::write_qwen2_vl(argv[2]);
    else if (kind == "qwen3-moe-128")
      pippin::write_moe(argv[2]);
    else {
      fmt::print(stderr, "usage: bench_make_checkpoint llama-1b|qwen2-72b|qwen2-vl-72b|qwen3-moe-128 FOLDER\n");
      return 2;
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
