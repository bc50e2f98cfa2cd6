"""The source tensors of a model that has other shapes than a recorded case.

Numbered values go through the reference's `sanitize`; where they come out tells which source axis feeds which axis of the model.
"""

import math
import re

import mlx.core as mx
import numpy as np

from reference_models import DTYPES, FLOATS

MOST_TRACED = 500_000


def spread(axis, shape):
    """Every element is its place along one axis."""
    return np.broadcast_to(np.arange(shape[axis], dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape)


class Trace:
    """For each parameter of the model: the source tensors in it, where, and along which of its axes each source axis runs."""

    def __init__(self, reference, case):
        # The large tensors of a tiny case are those of a part whose sizes are fixed.
        floats = [entry for entry in case["source"] if entry[1] in FLOATS and len(entry) == 3 and math.prod(entry[2]) <= MOST_TRACED]
        traced = {entry[0] for entry in floats}
        others = {entry[0]: mx.zeros(entry[2], DTYPES[entry[1]]) for entry in case["source"] if entry[0] not in traced}

        def run(value_of):
            tensors = {**others, **{name: mx.array(np.asarray(value_of(k, shape), dtype=np.float32)) for k, (name, _, shape) in enumerate(floats)}}
            weights, shapes = reference.look(case, tensors)
            return {name: np.array(value.astype(mx.float32)) for name, value in weights.items() if value.size <= 8 * MOST_TRACED}, shapes

        marks, self.shapes = run(lambda k, shape: np.full(shape, 8.0 * (k + 1)))
        rank = max((len(shape) for _, _, shape in floats), default=0)
        walks = [run(lambda k, shape: spread(axis, shape) if axis < len(shape) else np.zeros(shape))[0] for axis in range(rank)]
        # (parameter, source) -> (box, {source axis: (places, how many, parameter axes)})
        self.pieces, self.feeds, self.sources = {}, {}, {}
        for name, array in marks.items():
            if name not in self.shapes or array.shape != self.shapes[name]:
                continue
            ids = np.floor(array / 8).astype(int) - 1
            for k in np.unique(ids):
                if not 0 <= k < len(floats):
                    continue
                where = np.argwhere(ids == k)
                box = [(int(low), int(high) + 1) for low, high in zip(where.min(axis=0), where.max(axis=0))] if array.ndim else []
                cut = tuple(slice(*side) for side in box)
                axes = {}
                for axis in range(len(floats[k][2])):
                    values = walks[axis][name][cut]
                    along = [b for b in range(values.ndim) if values.shape[b] > 1 and np.any(np.diff(values, axis=b) != 0)]
                    places = np.unique(np.round(values))
                    axes[axis] = (places.tobytes(), len(places), along)
                source_name = floats[k][0]
                self.pieces[name, source_name] = (box, axes)
                self.feeds.setdefault(source_name, []).append(name)
                self.sources.setdefault(name, []).append(source_name)

    def stack_axis(self, name):
        """The axis along which a parameter is a pile of whole source tensors, if there is one."""
        sources = self.sources.get(name, [])
        for axis, size in enumerate(self.shapes[name]):
            if len(sources) > 1 and len(sources) == size and all(b - a == 1 for a, b in (self.pieces[name, s][0][axis] for s in sources)):
                return axis
        return None


def new_size(trace, shapes, source, axis, old):
    """The size of a source axis where the model has `shapes`."""
    total, covered, seen = 0.0, 0, set()
    for name in trace.feeds.get(source, []):
        if name not in shapes or len(shapes[name]) != len(trace.shapes[name]):
            continue
        box, axes = trace.pieces[name, source]
        places, extent, along = axes[axis]
        ratio = 1.0
        for b in along:
            ratio *= shapes[name][b] / trace.shapes[name][b]
        if places in seen:
            continue
        seen.add(places)
        if extent >= old:
            return round(old * ratio)
        total += extent * ratio
        covered += extent
    return round(total + old - covered) if covered <= old else None


def counted(name, step):
    """The name with each of its numbers raised by step, one at a time."""
    for match in re.finditer(r"(?<![0-9a-zA-Z])\d+(?![0-9a-zA-Z])", name):
        yield name[: match.start()] + str(int(match.group()) + step) + name[match.end():]


def sources_of_new(trace, shapes, name):
    """Guesses of the source tensors (name, shape or None for the like's, like) of a parameter that the case's model has not."""
    for step in range(1, 9):
        for near in counted(name, -step):
            if near in trace.sources and near in shapes:
                difference = [a != b for a, b in zip(name.split("."), near.split("."))].index(True)
                number = near.split(".")[difference]
                guesses = []
                for source in trace.sources[near]:
                    for candidate in counted(source, step):
                        changed = [(a, b) for a, b in zip(source.split("."), candidate.split(".")) if a != b]
                        if changed[0][0] == number or changed[0][0].endswith(number):
                            guesses.append((candidate, None, source))
                            break
                if guesses:
                    return guesses
    best = None
    for near, sources in trace.sources.items():
        if len(sources) != 1:
            continue
        a, b = near.split("."), sources[0].split(".")
        while a and b and a[-1] == b[-1]:
            a, b = a[:-1], b[:-1]
        # parameter prefix a stands for source prefix b; climb to a prefix of the new name
        p = near.split(".")
        common = 0
        for x, y in zip(p, name.split(".")):
            if x != y:
                break
            common += 1
        tail = len(p) - common
        if common == 0 or tail <= 0 or common < len(a):
            continue
        s = sources[0].split(".")
        guess = ".".join(s[: len(s) - tail] + name.split(".")[common:])
        if best is None or common > best[0]:
            best = (common, guess, sources[0])
    if best is None:
        return [(name, list(shapes[name]), None)]
    return [(best[1], list(shapes[name]), best[2])]


def follow(reference, trace, case, config, shapes):
    """The source tensors for a model with `shapes`; None where that cannot be told."""
    by_name = {entry[0]: entry for entry in case["source"]}
    result = {}
    for entry in case["source"]:
        name, dtype, shape = entry[:3]
        fed = trace.feeds.get(name, [])
        if fed and all(parameter not in shapes for parameter in fed):
            continue
        sizes = list(shape)
        if fed:
            sizes = [new_size(trace, shapes, name, axis, old) for axis, old in enumerate(shape)]
        if any(size is None or size <= 0 for size in sizes):
            return None
        result[name] = [name, dtype, sizes, *entry[3:]]
    for name in trace.shapes:
        axis = trace.stack_axis(name)
        if axis is None or name not in shapes or shapes[name][axis] == trace.shapes[name][axis]:
            continue
        pile = sorted(trace.sources[name], key=lambda source: trace.pieces[name, source][0][axis])
        for source in pile[shapes[name][axis]:]:
            result.pop(source, None)
        for step in range(1, shapes[name][axis] - len(pile) + 1):
            if pile[-1] not in result or pile[-1] not in counted(pile[-2], 1):
                return None
            place = [a != b for a, b in zip(re.split(r"(\d+)", pile[-2]), re.split(r"(\d+)", pile[-1]))].index(True)
            parts = re.split(r"(\d+)", pile[-1])
            parts[place] = str(int(parts[place]) + step)
            result["".join(parts)] = ["".join(parts), *result[pile[-1]][1:]]
    missing = missing_of(reference, {**case, "config": config, "source": list(result.values())})
    for name in missing or ():
        for guess, shape, like in sources_of_new(trace, shapes, name):
            if guess in result:
                continue
            if shape is None:
                if like not in result:
                    return None
                result[guess] = [guess, *result[like][1:]]
            else:
                result[guess] = [guess, by_name[like][1] if like else "BF16", shape]
    return list(result.values())


def look_at(reference, case):
    return reference.look(case, {entry[0]: mx.zeros(entry[2], DTYPES[entry[1]]) for entry in case["source"]})


def accepts(reference, case):
    """Whether the reference's model takes the case's source, by names and shapes."""
    weights, shapes = look_at(reference, case)
    return {name: tuple(value.shape) for name, value in weights.items()} == shapes


def missing_of(reference, case):
    """The parameters that the source does not fill; all that there are where it cannot be told."""
    try:
        weights, shapes = look_at(reference, case)
        return [name for name in shapes if name not in weights]
    except Exception:
        return []


def shapes_of(reference, config, case):
    """The shapes of the model that a config makes. Some models' sanitize does not bear an empty checkpoint."""
    try:
        return reference.look({**case, "config": config}, {})[1]
    except Exception:
        return look_at(reference, {**case, "config": config})[1]
