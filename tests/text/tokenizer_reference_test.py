"""Tokenizers give the ids and texts that transformers' AutoTokenizer gives, for every kind of tokenizer and for nasty text.

    python3 tests/text/tokenizer_reference_test.py DRIVER

The tokenizers are trained here, on the project's own documents.
"""

import functools
import json
import random
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from driver_program import Driver
from reference_venv import ROOT, enter

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]
TEXTS = [
    "",
    " ",
    "a",
    "Hello world",
    " Hello  world ",
    "   three   spaces   ",
    "\n",
    "\n\n\n",
    "\r\n\r\n a\r b",
    "\t\ttabs\tand \t spaces",
    "trailing newline\n",
    "It's, we'll, THEY'RE I'M don't 'tis",
    "3.14159 1,000,000 12345678901234567890 1e-9 ½ ² ٣٤ ௧௨ 四",
    "snake_case CamelCase kebab-case UPPER lower miXed",
    "def f(x):\n    return {'a': [x, \"b\"]}  # ok?\n",
    "https://example.org/a/b?c=d&e=%20f#g user@example.org",
    "é e\u0301 \u1e9b\u0323 ﬁ Å Å Å ﷺ ①",
    "İstanbul ıI ß ẞ ΑΣΣ ς ǆ Ǆ",
    "👍 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇨🇭 1️⃣ 😀😀😀",
    "שלום עולם \u200fרtl\u200e مرحبا بالعالم ١٢٣",
    "你好，世界。日本語テスト ｱｲｳ 한국어 ประเทศไทย हिन्दी தமிழ் ພາສາລາວ",
    "\u0000\u0001\u0002\u001b[31mred\u001b[0m\u007f\u0080\u009f",
    "\u00a0nbsp\u2003em\u3000ideographic\u200bzero\u200cnj\u200djoin\u2060word\ufeffbom\u00adsoft",
    "\u2028line\u2029para\u0085next\u000bvt\u000cff",
    "\ufffd\ufffe\uffff\U0010ffff\ue000\U000e0001",
    "a" * 300,
    "ab" * 100 + " " * 50 + "c" * 100,
    "Z̷̨̛a̵l̶g̸o̶ t̴e̷x̶t̵ n̈́̂",
    "▁under▁score ▁ ▁▁",
    "Ġhello Ċ ċ Ā ł",
    "<0x0A><0xE2><0x82> <0x00>",
    "<s>Hello</s><pad> <unk> <s >< s> <S>",
    "text<|im_start|>user\nhi<|im_end|> \n<|im_end|>x",
    "<tool_call>{}</tool_call> <tool_call>",
    "before <mask> after<mask>end  <mask>  ",
    "word WORD wordy aword word",
    "<s><s></s></s>\n<s>",
    "##ing ing ##s [UNK] [CLS] [SEP] unbelievably",
    "quite ' s n't 've . , ! ?",
    "…—–‘’“”«»„‟•·†‡",
]


def documents():
    texts = [path.read_text() for path in sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md"))]
    return [line for text in texts for line in text.splitlines(keepends=True)] + TEXTS


def added(content, **flags):
    from tokenizers import AddedToken

    return AddedToken(content, **{"special": False, "normalized": False, **flags})


def byte_level(pattern, normalizer=None, **model):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.normalizer = normalizer
    if pattern:
        split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(documents(), trainer)
    return tokenizer


def gpt_2(folder):
    save(folder, byte_level(None), bos_token="<s>", eos_token="</s>", add_prefix_space=False)


def llama_3(folder):
    from tokenizers import processors

    tokenizer = byte_level(LLAMA_3, ignore_merges=True)
    template = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    save(folder, tokenizer, bos_token="<s>", eos_token="<|im_end|>", clean_up_tokenization_spaces=True)


def qwen_2(folder):
    from tokenizers import normalizers

    tokenizer = byte_level(QWEN_2, normalizers.NFC())
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([added("<tool_call>"), added("</tool_call>")])
    save(folder, tokenizer, eos_token="<|im_end|>", pad_token="<pad>", errors="replace", split_special_tokens=False)


def deepseek(folder):
    from tokenizers import Regex, decoders, pre_tokenizers

    tokenizer = byte_level(None)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
            pre_tokenizers.Split(Regex("[一-龥぀-ゟ゠-ヿ]+"), "isolated"),
            pre_tokenizers.Split(Regex(r"[!-/:-~]?[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    save(folder, tokenizer, bos_token="<s>", eos_token="</s>", add_bos_token=True, add_eos_token=False)


def pieces(prefix, fallback=True, **metaspace):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always" if prefix else "never", **metaspace)
    bytes_of_fallback = [f"<0x{byte:02X}>" for byte in range(256)] if fallback else []
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=SPECIAL + bytes_of_fallback, show_progress=False, limit_alphabet=120)
    tokenizer.train_from_iterator(documents(), trainer)
    form = json.loads(tokenizer.to_str())
    form["added_tokens"] = [token for token in form["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(form))
    tokenizer.pre_tokenizer = None
    steps = [normalizers.Prepend("▁")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    after = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *after])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tokenizer


def llama_2(folder):
    save(folder, pieces(True), bos_token="<s>", eos_token="</s>", unk_token="<unk>", legacy=False, add_bos_token=True, sp_model_kwargs={})


def gemma(folder):
    from tokenizers import pre_tokenizers

    tokenizer = pieces(False)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_tokens(["\n\n", "\t\t"])
    save(folder, tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>")


def metaspace(folder):
    from tokenizers import decoders, normalizers, pre_tokenizers

    tokenizer = pieces(True, fallback=False)
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    save(folder, tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def unigram(folder):
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=800, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(documents(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 2)])
    save(folder, tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>", clean_up_tokenization_spaces=True)


def word_piece(folder):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=1500, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]"], show_progress=False)
    tokenizer.train_from_iterator(documents(), trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    save(folder, tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", clean_up_tokenization_spaces=True)


def word_level(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(documents(), trainers.WordLevelTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False))
    save(folder, tokenizer, unk_token="<unk>", clean_up_tokenization_spaces=True)


def word_ends(folder):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(vocab_size=1200, special_tokens=SPECIAL, end_of_word_suffix="</w>", show_progress=False)
    tokenizer.train_from_iterator(documents(), trainer)
    save(folder, tokenizer, unk_token="<unk>")


def odd_added_tokens(folder):
    tokenizer = pieces(True)
    tokenizer.add_tokens([added("<mask>", lstrip=True), added("word", single_word=True), added("WORD", normalized=True), added("<|im_end|>", rstrip=True)])
    config = {"extra_special_tokens": ["<tool_call>", "never seen"], "image_token": "<image>", "mask_token": "<mask>", "eos_token": "</s>", "bos_token": "<s>"}
    save(folder, tokenizer, **config)


def settings_add_tokens(folder):
    form = {"content": "<tool_call>", "lstrip": False, "rstrip": True, "normalized": False, "single_word": False, "special": False}
    decoder = {"1": {**form, "content": "<s>", "special": True, "rstrip": False}, "9000": form, "9001": {**form, "content": "<mask>", "special": True}}
    save(folder, byte_level(LLAMA_3), eos_token="</s>", pad_token="<|im_end|>", added_tokens_decoder=decoder, additional_special_tokens=["<|im_start|>"])


def legacy_settings(folder):
    save(folder, byte_level(None))
    tokens = {"bos_token": "<s>", "eos_token": {"content": "<|im_end|>", "lstrip": False, "rstrip": True, "normalized": False, "single_word": False}}
    (folder / "special_tokens_map.json").write_text(json.dumps({**tokens, "additional_special_tokens": ["<mask>"]}))


def truncated_and_padded(folder):
    tokenizer = byte_level(None)
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=8, pad_id=3, pad_token="<pad>")
    save(folder, tokenizer, eos_token="</s>", pad_token="<pad>")


def save(folder, tokenizer, **config):
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **config}))


def numbered_and_named(folder):
    tokenizer = pieces(True)
    tokenizer.add_tokens([added("<mask>"), added("<tool_call>")])
    form = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": False}
    decoder = {str(tokenizer.token_to_id("<mask>")): {**form, "content": "<mask>"}}
    save(folder, tokenizer, eos_token="</s>", mask_token="<mask>", image_token="<tool_call>", added_tokens_decoder=decoder)


def vocabulary_files(folder, tokenizer, **config):
    folder.mkdir()
    tokenizer.model.save(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def gpt_2_files(folder):
    vocabulary_files(folder, byte_level(None), tokenizer_class="GPT2Tokenizer", pad_token="<pad>")


def qwen_2_files(folder):
    from tokenizers import normalizers

    tokens = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "</s>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    vocabulary_files(folder, byte_level(QWEN_2, normalizers.NFC()), bos_token=None, **tokens)


def trained_pieces(kind, **options):
    """The bytes of a tokenizer.model; the extra options are those of SentencePiece's trainer."""
    import io

    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    lines = iter(line for line in map(str.rstrip, documents()) if line)
    options = {"vocab_size": 1000, "num_threads": 1, "minloglevel": 2, "hard_vocab_limit": False, **options}
    SentencePieceTrainer.train(sentence_iterator=lines, model_writer=model, model_type=kind, **options)
    return model.getvalue()


@functools.cache
def byte_pieces():
    options = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True}
    return trained_pieces("bpe", byte_fallback=True, split_digits=True, user_defined_symbols=["<tool_call>"], **options)


@functools.cache
def unigram_pieces(**options):
    return trained_pieces("unigram", control_symbols=["<|im_start|>", "<|im_end|>"], **options)


def piece_file(folder, model, config=None, model_type=None, **files):
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(model)
    files = {"tokenizer_config": config, "config": model_type and {"model_type": model_type}, **files}
    for name, content in files.items():
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))


LLAMA = {"tokenizer_class": "LlamaTokenizer"}


def pieces_alone(folder):
    piece_file(folder, byte_pieces())


def pieces_of_llama(folder):
    bos = {"__type": "AddedToken", "content": "<s>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    piece_file(folder, byte_pieces(), {**LLAMA, "bos_token": bos, "add_bos_token": True, "add_eos_token": False, "legacy": False, "pad_token": None}, "llama")


def pieces_of_old_llama(folder):
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}}
    files = {"special_tokens_map": {**tokens, "pad_token": "<pad>", "additional_special_tokens": ["<mask>"]}, "added_tokens": {"<new>": 1001, "<pad>": 1000}}
    piece_file(folder, byte_pieces(), {**LLAMA, "legacy": True, "add_bos_token": True, "add_eos_token": True}, "llama", **files)


def pieces_without_prefix(folder):
    config = {"tokenizer_class": "LlamaTokenizerFast", "add_prefix_space": False, "mask_token": "<mask>", "image_token": "<image>"}
    piece_file(folder, byte_pieces(), {**config, "extra_special_tokens": {"audio_token": "<audio>"}})


def pieces_of_mistral(folder):
    piece_file(folder, byte_pieces(), {**LLAMA, "add_bos_token": True, "additional_special_tokens": ["<|im_start|>", "</s>"]}, "mistral")


def pieces_of_phi_3(folder):
    form = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    decoder = {"1000": {**form, "content": "<|im_end|>", "rstrip": True}, "0": {**form, "content": "<unk>"}, "3": {**form, "content": "<mask>", "special": False}}
    piece_file(folder, byte_pieces(), {**LLAMA, "add_bos_token": True, "eos_token": "<|im_end|>", "added_tokens_decoder": decoder}, "phi3")


def pieces_of_gemma(folder):
    piece_file(folder, byte_pieces(), {"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "pad_token": None}, "gemma2")


def pieces_of_gemma_by_name(folder):
    piece_file(folder, byte_pieces(), {"tokenizer_class": "GemmaTokenizer"})


def unigram_pieces_of_llama(folder):
    piece_file(folder, unigram_pieces(), LLAMA, "llama")


def unigram_pieces_alone(folder):
    piece_file(folder, unigram_pieces(), {"clean_up_tokenization_spaces": True})


def unigram_bytes(folder):
    piece_file(folder, unigram_pieces(byte_fallback=True, normalization_rule_name="nfkc"), {**LLAMA, "extra_special_tokens": []}, "granite")


KINDS = [
    *[gpt_2, llama_3, qwen_2, deepseek, llama_2, gemma, metaspace, unigram, word_piece, word_level, word_ends],
    *[odd_added_tokens, settings_add_tokens, legacy_settings, numbered_and_named, truncated_and_padded],
    *[gpt_2_files, qwen_2_files],
    *[pieces_alone, pieces_of_llama, pieces_of_old_llama, pieces_without_prefix, pieces_of_mistral, pieces_of_phi_3],
    *[pieces_of_gemma, pieces_of_gemma_by_name, unigram_pieces_of_llama, unigram_pieces_alone, unigram_bytes],
]


class Tokenizers(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-text-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.driver = Driver(DRIVER)
        self.addCleanup(self.driver.close)

    def answer(self, do, **request):
        reply = self.driver.ask(do, **request)
        self.assertIn("answer", reply, reply)
        return reply["answer"]

    def compare_texts(self, folder, tokenizer):
        for text in TEXTS:
            for special in (True, False):
                with self.subTest(text=text, special=special):
                    ids = tokenizer.encode(text, add_special_tokens=special)
                    self.assertEqual(self.answer("encode", folder=folder, text=text, special=special), ids)
                    self.compare_decoding(folder, tokenizer, ids)

    def compare_decoding(self, folder, tokenizer, ids):
        for skip in (True, False):
            expected = tokenizer.decode(ids, skip_special_tokens=skip)
            self.assertEqual(self.answer("decode", folder=folder, ids=ids, skip=skip), expected, ids)
            pieces_found = self.answer("stream", folder=folder, ids=ids, skip=skip)
            self.assertEqual("".join(pieces_found), expected, ids)

    def compare_random_ids(self, folder, tokenizer):
        choice = random.Random(5)
        for count in [1, 2, 3, 10, 40] * 8:
            ids = [choice.randrange(len(tokenizer)) for _ in range(count)]
            with self.subTest(ids=ids):
                self.compare_decoding(folder, tokenizer, ids)
        low = [choice.randrange(min(len(tokenizer), 300)) for _ in range(300)]  # bytes and their fallbacks
        self.compare_decoding(folder, tokenizer, low)

    def test_kinds(self):
        from transformers import AutoTokenizer

        for kind in KINDS:
            with self.subTest(kind.__name__):
                folder = self.folder / kind.__name__
                kind(folder)
                tokenizer = AutoTokenizer.from_pretrained(str(folder))
                described = self.answer("describe", folder=str(folder))
                self.assertEqual(described["size"], len(tokenizer))
                self.assertEqual(described["special"], tokenizer.special_tokens_map)
                eos = tokenizer.eos_token_id
                self.assertEqual(described["eos"], [] if eos is None else [eos])
                self.compare_texts(str(folder), tokenizer)
                self.compare_random_ids(str(folder), tokenizer)

    def test_classes_of_model_types(self):
        from transformers.models.auto import tokenization_auto as auto

        def kind(type_, name):
            name = (name or "TokenizersBackend").removesuffix("Fast")
            if name in ("TokenizersBackend", "MistralCommonBackend"):
                return "generic"
            fixed = type_ in auto.MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS
            return {"GemmaTokenizer": "gemma", "LlamaTokenizer": "llama"}.get(name, "other" if fixed else "")

        source = (ROOT / "src" / "text" / "tokenizer_class.cpp").read_text()
        for wanted in ("generic", "gemma", "llama", "other"):
            words = re.search(rf"{wanted}_types =([^;]*);", source)[1].replace('"', " ").split()
            self.assertEqual(set(words), {type_ for type_, name in auto.TOKENIZER_MAPPING_NAMES.items() if kind(type_, name) == wanted})

    def test_bundled_example(self):
        from transformers import AutoTokenizer

        folder = str(ROOT / "examples" / "kjv-tiny")
        self.compare_texts(folder, AutoTokenizer.from_pretrained(folder))


if __name__ == "__main__":
    enter()
    DRIVER = sys.argv[1]
    unittest.main(argv=sys.argv[:1])
