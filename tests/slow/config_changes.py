"""Changes of a config.json: fields taken away, given another value, or added from the reference's own config classes."""

import copy
import dataclasses
import json
import re

from reference_models import quiet

NOT_SHAPES = re.compile(r"token|eps|theta|_ids?$|version|initializer|std|dropout|rope_scaling|factor|coef|torch_dtype|^dtype$|model_type|architectures")


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    if not isinstance(value, dict) and path:
        yield path, value


def parts(value, path=()):
    """The objects inside a config."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield (*path, key)
            yield from parts(inner, (*path, key))


def at(config, path):
    for key in path[:-1]:
        config = config[key]
    return config


def class_fields(model_config, path=()):
    """Fields of the reference's config objects, with their defaults: what config.json could also say."""
    if dataclasses.is_dataclass(model_config):
        for field in dataclasses.fields(model_config):
            value = getattr(model_config, field.name, None)
            if dataclasses.is_dataclass(value):
                yield from class_fields(value, (*path, field.name))
            else:
                yield (*path, field.name), value


def other_value(random_, value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        if value <= 0:
            return random_.choice([1, 2])
        if value >= 16:
            return random_.choice([value * 2, value * 3 // 2, max(1, value // 2), value + 32, value + 64])
        return random_.choice([value + 1, max(1, value - 1), value * 2, value + 2])
    if isinstance(value, float):
        return random_.choice([value * 2, value + 1])
    if isinstance(value, list) and value:
        result = list(value)
        if random_.random() < 0.5 and len(set(map(str, result))) > 1:
            random_.shuffle(result)
        else:
            place = random_.randrange(len(result))
            if isinstance(result[place], (int, float)):
                result[place] = other_value(random_, result[place])
            else:
                result[place] = random_.choice(result)
        return result
    return value


def said(change):
    path, verb, value = change
    return f"{'.'.join(map(str, path))} = {json.dumps(value)}" if verb == "set" else f"no {'.'.join(map(str, path))}"


def change_config(config, change):
    path, verb, value = change
    if verb == "set":
        at(config, path)[path[-1]] = value
    else:
        del at(config, path)[path[-1]]


def changes(random_, config, fields):
    """(path, "take away" or "set", value), in random order."""
    found = []
    for path, value in leaves(config):
        if NOT_SHAPES.search(path[-1]):
            continue
        found.append((path, "take away", None))
        if isinstance(value, (bool, int, float, list)):
            found += [(path, "set", other_value(random_, value))] * 2
    for path, value in fields:
        inner = config
        for key in path[:-1]:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and path[-1] not in inner and not NOT_SHAPES.search(path[-1]) and isinstance(value, (bool, int, float)):
            found.append((path, "set", other_value(random_, value)))
    random_.shuffle(found)
    return found


def model_fields(reference, case):
    """The fields of the config classes of a case's model."""
    config = copy.deepcopy(case["config"])
    try:
        with quiet():
            if reference.tool == "mlx_vlm":
                model_class, _ = reference.utils.get_model_and_args(config=config)
                config.setdefault("text_config", config.pop("llm_config", {}))
                config.setdefault("vision_config", {})
                config.setdefault("audio_config", {})
                model_config = model_class.ModelConfig.from_dict(config)
                model_config = reference.utils.update_module_configs(model_config, model_class, config, ["text", "vision", "perceiver", "projector", "audio"])
            else:
                _, arguments = reference.utils._get_classes(config)
                model_config = arguments.from_dict(config)
        return list(class_fields(model_config))
    except Exception:  # a case whose config the class does not take
        return []


def change_dtype(random_, config):
    """Another statement of the dtype, in one of the places where loaders look; what was done."""
    parts = [key for key in ("text_config", "vision_config", "audio_config", "llm_config") if isinstance(config.get(key), dict)]
    owner = random_.choice(["", "", *parts])
    key = random_.choice(["torch_dtype", "dtype"])
    value = random_.choice(["float16", "bfloat16", "float32", None])
    inner = config[owner] if owner else config
    inner.pop(key, None)
    if value:
        inner[key] = value
    return f"{owner + '.' if owner else ''}{key} = {value}"
