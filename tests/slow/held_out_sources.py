"""Sources that no recorded case has: a case's config and tensor list, changed, for the real mlx-lm and pippin alike.

A row is a JSON object: {"case": "llama", "layout": "published", "set": {"hidden_size": 128}, "tied": true, "dtype": "F16",
"shards": 3, "args": {...}}. Everything but "case" may be missing. `set` holds config fields by dotted path. The tensor
list follows the config: in layout "mlx" it is the reference model's own parameters; in layout "published" the case's, with
shapes that are found by sending numbered tensors through the reference's `sanitize`.
"""

import collections
import copy
import json
import math

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm import utils

FLOATS = ("BF16", "F16", "F32")
SPACING = 16  # between the numbers sent through sanitize, so that a norm's "+ 1" changes none
MOST_ELEMENTS = 4_000_000
MOST_TENSORS = 900


class NotMade(Exception):
    """The row cannot be made: no fault of either converter."""


def _part_with(config, name):
    for part in (config, *(config[key] for key in ("text_config", "language_config", "llm_config") if isinstance(config.get(key), dict))):
        if name in part:
            return part
    return config


def changed_config(config, changes, tied=None):
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *parents, last = path.split(".")
        part = config
        for key in parents:
            part = part[key]
        part[last] = value
    if tied is not None:
        _part_with(config, "tie_word_embeddings")["tie_word_embeddings"] = tied
    return config


def _model(config):
    model_class, arguments_class = utils._get_classes(config)
    return model_class(arguments_class.from_dict(copy.deepcopy(config)))


def parameters(config):
    """Name to shape of the reference's model, no values computed."""
    shapes = {name: list(value.shape) for name, value in tree_flatten(_model(config).parameters())}
    if len(shapes) > MOST_TENSORS or sum(map(math.prod, shapes.values())) > MOST_ELEMENTS or any(0 in shape for shape in shapes.values()):
        raise NotMade("too large, or a part of it is empty")
    return shapes


def _sanitized(config, source, numbers):
    """The reference's sanitize over float32 tensors whose elements are numbers(position in source, shape)."""
    weights = {entry[0]: mx.array(numbers(i, entry[2]).astype(np.float32) * SPACING) for i, entry in enumerate(source)}
    model = _model(config)
    out = model.sanitize(weights) if hasattr(model, "sanitize") else weights
    return {name: np.array(value.astype(mx.float32)).astype(np.int64) // SPACING for name, value in dict(out).items()}


def flow(config, source):
    """For each source tensor: [(output name, output shape, box, [for each source axis: the coordinates in that box])]."""
    ids = _sanitized(config, source, lambda i, shape: np.full(shape, i))
    rank = max(len(entry[2]) for entry in source)
    axes = []
    for axis in range(rank):

        def coordinate(_, shape, axis=axis):
            if axis >= len(shape):
                return np.zeros(shape)
            along = np.arange(shape[axis]).reshape([-1 if k == axis else 1 for k in range(len(shape))])
            return np.broadcast_to(along, shape)

        axes.append(_sanitized(config, source, coordinate))
    flows = collections.defaultdict(list)
    for name, found in ids.items():
        for i in np.unique(found):
            if not 0 <= i < len(source):
                raise NotMade(f"{name} is computed, not moved")
            where = np.argwhere(found == i)
            box = tuple(slice(int(lo), int(hi) + 1) for lo, hi in zip(where.min(axis=0, initial=10**9), where.max(axis=0, initial=0))) if found.ndim else ()
            flows[int(i)].append((name, found.shape, box, [axes[axis][name][box] for axis in range(len(source[i][2]))]))
    return flows


def _new_dimension(old, parts, new_shapes):
    """A source axis of length `old`, whose numbers lie in the outputs `parts`: its length where the outputs have new shapes."""
    pieces = {}
    for name, shape, box, numbers in parts:
        varying = [j for j in range(numbers.ndim) if numbers.shape[j] > 1 and (np.diff(numbers, axis=j) != 0).any()]
        length = 1
        for j in varying:
            length *= new_shapes[name][j] * (box[j].stop - box[j].start) // shape[j]
        key = tuple(np.unique(numbers))
        if varying:
            pieces[key] = length
    covered = set().union(*map(set, pieces)) if pieces else set()
    if sum(map(len, pieces)) != len(covered) or (pieces and len(covered) != old):
        raise NotMade("an axis goes into several outputs at once")
    return sum(pieces.values()) if pieces else old


def followed_source(config, source, new_config):
    """The published tensor list for new_config, which must give the same names."""
    old_shapes, new_shapes = parameters(config), parameters(new_config)
    if old_shapes == new_shapes:
        return source
    if old_shapes.keys() != new_shapes.keys():
        raise NotMade("other names")
    flows = flow(config, source)
    result = []
    for i, (name, dtype, shape, *fill) in enumerate(source):
        parts = [part for part in flows[i] if part[0] in new_shapes]
        if parts and (fill or dtype not in FLOATS):
            raise NotMade("only plain floating point tensors can be followed")
        along = [[(out, size, box, numbers[axis]) for out, size, box, numbers in parts] for axis in range(len(shape))]
        result.append([name, dtype, [_new_dimension(old, along[axis], new_shapes) for axis, old in enumerate(shape)], *fill])
    return result


def _with_head(config, new_config, source):
    """Adds or takes out the head, for a config that is tied otherwise."""
    before, after = parameters(config), parameters(new_config)
    added, gone = after.keys() - before.keys(), before.keys() - after.keys()
    if len(added) + len(gone) != 1:
        raise NotMade("tying changes nothing, or more than the head")
    if added:
        (head,) = added
        names = {entry[0] for entry in source}
        prefix = "" if not head.startswith("language_model.") or any(n.startswith("language_model.") for n in names) else "language_model."
        if head.removeprefix(prefix) in names:
            return source
        dtype = collections.Counter(entry[1] for entry in source).most_common(1)[0][0]
        return source + [[head.removeprefix(prefix), dtype, after[head]]]
    (head,) = gone
    flows = flow(config, source)
    return [entry for i, entry in enumerate(source) if {part[0] for part in flows[i]} != {head}]


def case_of(case, row):
    """The recorded case changed as the row says, in the form that `conformance --write-source` reads."""
    old = case["config"]
    config = changed_config(old, row.get("set", {}))
    if row.get("layout") == "mlx":
        config = changed_config(config, {}, row.get("tied"))
        source = [[name, "BF16", shape] for name, shape in parameters(config).items()]
    else:
        source = case["source"] if not row.get("set") else followed_source(old, case["source"], config)
        if "tied" in row:
            tied = changed_config(config, {}, row["tied"])
            source, config = _with_head(config, tied, source), tied
    if row.get("dtype"):
        most = collections.Counter(entry[1] for entry in source if entry[1] in FLOATS).most_common(1)
        if not most:
            raise NotMade("no floating point tensor")
        source = [[entry[0], row["dtype"] if entry[1] == most[0][0] else entry[1], *entry[2:]] for entry in source]
    made = {key: value for key, value in case.items() if key not in ("runs", "source", "config", "shards")}
    return made | {"config": config, "source": source, "shards": row.get("shards", case.get("shards", 1)), "runs": {}}


def _numbers(config, prefix=""):
    for key, value in config.items():
        if isinstance(value, dict) and key not in ("vision_config", "audio_config", "quantization", "quantization_config", "rope_scaling"):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, (int, bool)) and not key.endswith("_token_id") and key != "tie_word_embeddings":
            yield prefix + key, value


def config_change(config, rng, tries=12):
    """A random change of one field that makes the reference build another model: ({path: value}, whether the names stay).

    None where no try finds one."""
    try:
        old = parameters(config)
    except (Exception, SystemExit):  # what the reference cannot build stays as recorded
        return None
    fields = list(_numbers(config))
    for _ in range(tries if fields else 0):
        path, value = rng.choice(fields)
        other = not value if isinstance(value, bool) else rng.choice([value * 2, value + 32, value * 3, value // 2, value + 1, value - 1])
        if not isinstance(value, bool) and other < 1:
            continue
        try:
            new = parameters(changed_config(config, {path: other}))
        except (Exception, SystemExit):  # a config that fits no model
            continue
        if new != old:
            return {path: other}, old.keys() == new.keys()
    return None
