"""What mlx-lm's Metal kernels compute, by MLX operations that its CPU backend has, too. For tools/record_logits."""

import mlx.core as mx

FLOAT = mx.float32


def ternary_product(layer, x, packed):
    """Of BitLinear: row i * n + r of the weight is in bits 2i of row r."""
    weight = mx.concatenate([(packed >> (2 * field)) & 3 for field in range(4)]).astype(FLOAT) - 1.0
    scale = layer.weight_scale.astype(FLOAT)
    product = x.astype(FLOAT) @ weight.T
    return (product * (1 / scale if layer.invert_weight_scales else scale)).astype(x.dtype)


def scaled_experts(layer, x, experts, sorted_indices=False):
    """Of QuantizedSwitchLinear with a scale for each expert."""
    scale = layer.get("global_scale")
    product = mx.gather_qmm(x if scale is None else x.astype(FLOAT), layer["weight"], layer["scales"], layer.get("biases"),
                            rhs_indices=experts, transpose=True, sorted_indices=sorted_indices, group_size=layer.group_size,
                            bits=layer.bits, mode=layer.mode)
    if scale is not None:
        product = product * (scale / (6 * 448))[experts][..., None, None]  # the largest code times its group's largest scale
    return product.astype(x.dtype)


def normed(x, eps, weight=None):
    return mx.fast.rms_norm(x, weight, eps)


def qk_norm(qkvg, *, n_heads, n_kv_heads, head_dim, eps, query_scale):
    heads = qkvg[..., : (n_heads + n_kv_heads) * head_dim].reshape(*qkvg.shape[:-1], -1, head_dim)
    heads = normed(heads, eps)
    queries = heads[..., :n_heads, :].astype(FLOAT) * query_scale
    return queries.astype(qkvg.dtype), heads[..., n_heads:, :]


def qk_norm_rope(qkvg, *, rope_base, offset, head_dim, **rest):
    def turned(x):
        x = x.swapaxes(1, 2)
        return mx.fast.rope(x, head_dim, traditional=True, base=rope_base, scale=1.0, offset=offset).swapaxes(1, 2)

    return [turned(x) for x in qk_norm(qkvg, head_dim=head_dim, **rest)]


def rms_norm_sigmoid_gate(x, gate, *, eps):
    rows = normed(x.astype(FLOAT), eps).swapaxes(1, 2)
    return (rows.reshape(gate.shape) * mx.sigmoid(gate.astype(FLOAT))).astype(x.dtype)


def norm_add_norm(branch, stream, *, alpha, beta, post_weight, post_eps, next_norm):
    dtype = branch.dtype
    if post_weight is not None:
        branch = post_weight.astype(dtype) * branch
    stream = alpha.astype(FLOAT) * stream + beta.astype(FLOAT) * normed(branch, post_eps).astype(FLOAT)
    if next_norm is None:
        return stream, None
    return stream, normed(stream, next_norm.eps, next_norm.weight.astype(FLOAT)).astype(dtype)


def expert_routing(logits, expert_bias, *, top_k, multiplier, score_eps, route_scale):
    scores = mx.sigmoid(logits * multiplier)
    experts = mx.argsort(-(scores + expert_bias), axis=-1)[..., :top_k]
    weights = mx.take_along_axis(scores, experts, axis=-1)
    return experts, weights / (mx.sum(weights, axis=-1, keepdims=True) + score_eps) * route_scale


def post_expert_norm_combine(experts, weights, *, norm_weight, eps):
    wide = normed(experts.astype(FLOAT) * norm_weight.astype(FLOAT), eps)
    weights = weights.astype(experts.dtype).astype(FLOAT)
    total = mx.zeros(wide.shape[:-2] + wide.shape[-1:], FLOAT)
    for k in range(wide.shape[-2]):
        total = (total + wide[..., k, :] * weights[..., k, None]).astype(experts.dtype).astype(FLOAT)
    return total.astype(experts.dtype)


def install():
    from mlx_lm.models import bitlinear_layers, muse_spark, switch_layers

    bitlinear_layers.BitLinear.execute_matmul_kernel = ternary_product
    switch_layers.QuantizedSwitchLinear.__call__ = scaled_experts
    for kernel in (qk_norm, qk_norm_rope, rms_norm_sigmoid_gate, norm_add_norm, expert_routing, post_expert_norm_combine):
        setattr(muse_spark, kernel.__name__, kernel)
