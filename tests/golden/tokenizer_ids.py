"""Writes tokenizer_ids.json: ids from sentencepiece, tiktoken and tokenizers for the shared vocabularies.

pip install sentencepiece==0.2.3 tiktoken==0.14.0 tokenizers==0.23.3
python tests/golden/tokenizer_ids.py ../shared/data > tests/golden/tokenizer_ids.json
"""

import base64
import hashlib
import json
import random
import sys

import sentencepiece
import tiktoken
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

shared = sys.argv[1] + "/"
llama3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

random.seed(0)
alphabet = list("abc éß\n\t '1234  \u0085\ufeff\u00a0中🦙ſSs!?.▁ﬁ\u0301")
texts = [
    "a", " ", "  ", "\n", "Hello world! <s> été 🦙 12345\n\n  x", "ﬁ①  ｆｕｌｌ width ㌔",
    "x\u0085y \ufeffz \u200b\u00a0q\u3000w", "\u0301e\u0301", "' era 'S 'ſ", "a\u2581b \u2581 c",
    "don't DON'T we'll", "１２３ ٣٤٥ ½²", "\t\ttabs \r\n crlf", "\u0000nul\u0001", "ȺȾ ŉ İi̇",
    "👩‍👩‍👧‍👦🇩🇪", "नमस्ते 你好 こんにちは", "<unk><s></s>", "aaaaaaaaaaaaaaaaaaaaaaaa",
]
texts += ["".join(random.choices(alphabet, k=random.randint(1, 24))) for _ in range(30)]
corpus = open(shared + "tokenizers/sentencepiece-test/botchan.txt", encoding="utf8", newline="").read()


def cases(encode, decode=None):
    lines = [encode(line) for line in corpus.split("\n")]
    digest = hashlib.sha256(json.dumps(lines, separators=(",", ":")).encode()).hexdigest()
    result = {"ids": [encode(text) for text in texts], "corpus": digest}
    if decode:
        result["texts"] = [decode(ids) for ids in result["ids"]]
    return result


golden = {"texts": texts, "files": {}}
for path in [
    "tokenizers/torchtune-small/m.model",
    "tokenizers/sentencepiece-test/test_model.model",
    "models/stories260K/tok512.model",
]:
    model = sentencepiece.SentencePieceProcessor(model_file=shared + path)
    golden["files"][path] = cases(model.encode, model.decode)

for path in ["tiktoken_small.model", "tiktoken_small_llama4.model"]:
    lines = open(shared + "tokenizers/torchtune-small/" + path, "rb").read().split(b"\n")
    ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines if line}
    model = tiktoken.Encoding(path, pat_str=llama3, mergeable_ranks=ranks, special_tokens={})
    golden["files"]["tokenizers/torchtune-small/" + path] = cases(model.encode_ordinary)

for path in ["tokenizer.json", "tokenizer_gemma_cropped.json"]:
    model = tokenizers.Tokenizer.from_file(shared + "tokenizers/torchtune-small/" + path)
    golden["files"]["tokenizers/torchtune-small/" + path] = cases(
        lambda text: model.encode(text).ids, lambda ids: model.decode(ids, skip_special_tokens=False)
    )

vocabulary = json.load(open(shared + "tokenizers/gpt2/encoder.json"))
merges = open(shared + "tokenizers/gpt2/vocab.bpe", encoding="utf8").read().split("\n")[1:]
gpt2 = tokenizers.Tokenizer(models.BPE(vocabulary, [tuple(m.split(" ")) for m in merges if m]))
gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
gpt2.decoder = decoders.ByteLevel()
golden["files"]["tokenizers/gpt2"] = cases(
    lambda text: gpt2.encode(text).ids, lambda ids: gpt2.decode(ids)
)
json.dump(golden, sys.stdout, separators=(",", ":"))
