"""What transformers makes of small SentencePiece models, for tests/text/piece_file_test.cpp.

    python3 tests/text/record_pieces.py            write tests/text/pieces/expected.json
    python3 tests/text/record_pieces.py --train    train tests/text/pieces/*.model anew before
    python3 tests/text/record_pieces.py --check    compare expected.json with what transformers does now

The models are trained on the project's own documents, so --train gives others after each change of those.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reference_venv import enter
from tokenizer_reference_test import LLAMA, TEXTS, byte_pieces, trained_pieces

FOLDER = Path(__file__).parent / "pieces"
# Characters that the model's own table replaces; the tables that come with the trainer are large.
REPLACED = {"ﬁ": "fi", "①": "1", "é": "e\u0301", "Ａ": "A", "\t": " ", "\u00a0": " "}
CASES = [
    ("bpe.model", {**LLAMA, "add_bos_token": True}, "llama"),
    ("bpe.model", {**LLAMA, "add_bos_token": True, "add_eos_token": True, "legacy": True, "pad_token": "<pad>"}, "llama"),
    ("bpe.model", {**LLAMA, "add_bos_token": True}, "mistral"),
    ("bpe.model", {"add_bos_token": True, "extra_special_tokens": ["<|im_start|>", "<|im_end|>"]}, "gemma2"),
    ("unigram.model", {"add_eos_token": True}, "llama"),
]


def train():
    (FOLDER / "bpe.model").write_bytes(byte_pieces())
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
        for old, new in REPLACED.items():
            points = [" ".join(f"{ord(c):X}" for c in text) for text in (old, new)]
            table.write("\t".join(points) + "\n")
        table.flush()
        options = {"normalization_rule_tsv": table.name, "control_symbols": ["<|im_start|>"], "user_defined_symbols": ["word"]}
        (FOLDER / "unigram.model").write_bytes(trained_pieces("unigram", **options))


def recorded(model, config, model_type):
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(FOLDER / model, Path(folder) / "tokenizer.model")
        (Path(folder) / "tokenizer_config.json").write_text(json.dumps(config))
        (Path(folder) / "config.json").write_text(json.dumps({"model_type": model_type}))
        tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = []
    for text in TEXTS:
        ids = tokenizer.encode(text)
        texts.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids), "plain": tokenizer.decode(ids, skip_special_tokens=True)})
    return {"model": model, "config": config, "model_type": model_type, "size": len(tokenizer), "texts": texts}


def main():
    if "--train" in sys.argv:
        train()
    cases = [recorded(*case) for case in CASES]
    target = FOLDER / "expected.json"
    if "--check" in sys.argv:
        return json.loads(target.read_text()) != cases
    head = [json.dumps({**case, "texts": None}, ensure_ascii=True).removesuffix("null}") for case in cases]
    bodies = [",\n".join(json.dumps(text, separators=(",", ":")) for text in case["texts"]) for case in cases]
    target.write_text("[\n" + ",\n".join(f"{start}[\n{body}]}}" for start, body in zip(head, bodies)) + "\n]\n")
    return 0


if __name__ == "__main__":
    enter()
    sys.exit(main())
