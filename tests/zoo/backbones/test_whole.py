"""Models that did not load in full are refused; legitimate differences between files and model are not."""

import json
import shutil

import pytest
import torch
from conftest_builders import build_backbone, build_checkpoint
from safetensors.torch import load_file, save_file

import genzoo
from genzoo.backbones.whole import (
    check_embeddings,
    check_tokenizer,
    check_tokenizers,
    load_causal_lm,
    open_sentence_transformer,
    reading,
    whole_models,
)
from genzoo.errors import CheckpointError, ZooError
from genzoo.models.loading import load, load_decoder
from genzoo.teachers.teachers import load_teacher


def rename_weights(folder, change):
    """Pass every weight of a folder through `change`: name -> new name, or None to leave it out."""
    path = folder / "model.safetensors"
    kept = {change(name): tensor for name, tensor in load_file(path).items() if change(name)}
    save_file(kept, path, metadata={"format": "pt"})


def change_config(folder, file="config.json", **changes):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "chat_template.jinja"):
        (folder / name).unlink(missing_ok=True)


FAULTS = {
    "other names": (lambda f: rename_weights(f, lambda n: f"xx.{n}"), "is not whole"),
    "one weight gone": (
        lambda f: rename_weights(f, lambda n: n if "layers.1.mlp.up" not in n else None),
        "1 weights of",
    ),
    "a layer too few in the config": (lambda f: change_config(f, num_hidden_layers=1), "fit nowhere"),
    "a layer too many in the config": (lambda f: change_config(f, num_hidden_layers=3), "is not whole"),
    "biases that the files lack": (lambda f: change_config(f, attention_bias=True), "is not whole"),
    "another width": (lambda f: change_config(f, hidden_size=16), "does not fit its own config.json"),
    "no tokenizer": (without_tokenizer, "tokenizer"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "cannot be loaded"),
    "weights cut off": (lambda f: (f / "model.safetensors").write_bytes(b"\x08" * 100), "cannot be loaded"),
}


@pytest.fixture
def copied(tiny_teacher, tmp_path):
    return shutil.copytree(tiny_teacher, tmp_path / "model")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("open_model", [lambda f: load(str(f), device="cpu"), lambda f: load_teacher(str(f), "cpu")])
def test_a_sentence_transformer_that_did_not_load_is_refused(copied, fault, open_model):
    spoil, told = FAULTS[fault]
    open_model(copied)
    spoil(copied)
    with pytest.raises(CheckpointError, match=told) as caught:
        open_model(copied)
    assert str(copied) in str(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_backbone_that_did_not_load_is_refused(llama, tmp_path, fault):
    folder = shutil.copytree(llama, tmp_path / "backbone")
    checkpoint = build_checkpoint(folder)
    checkpoint.save(tmp_path / "checkpoint")
    load(str(tmp_path / "checkpoint"), device="cpu")
    load_decoder(str(tmp_path / "checkpoint"), device="cpu")
    spoil, told = FAULTS[fault]
    spoil(folder)
    for open_model in (load, load_decoder):
        with pytest.raises(ZooError, match=f"{told}|expected config.json and"):
            open_model(str(tmp_path / "checkpoint"), device="cpu")
    with pytest.raises(CheckpointError, match=told):
        load_causal_lm(folder, "cpu")


def test_a_body_without_head_is_no_llm(tmp_path):
    """Saved by AutoModel, an untied model lacks its head: as a decoder it would write noise."""
    from transformers import AutoModel, AutoTokenizer

    whole = build_backbone(tmp_path / "whole", "llama", tied=False)
    AutoModel.from_pretrained(whole).save_pretrained(tmp_path / "body")
    AutoTokenizer.from_pretrained(whole).save_pretrained(tmp_path / "body")
    with pytest.raises(CheckpointError, match=r"lm_head\.weight"):
        load_causal_lm(tmp_path / "body", "cpu")


@pytest.mark.parametrize("spare", [0, 16, 200])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "gemma3_text", "phi3", "gpt_neox", "olmo2"])
@pytest.mark.parametrize("tied", [True, False])
def test_real_architectures_are_not_refused(tmp_path, family, tied, spare):
    from genzoo.models.baselines import mean_pooled

    folder = build_backbone(tmp_path / "backbone", family, tied=tied, spare=spare)
    load_causal_lm(folder, "cpu")
    check_embeddings(mean_pooled(folder, device="cpu"), folder)


def encoder_folder(folder, kind, llama, **changes):
    """A tiny encoder of another family, saved under a class that carries more than its body."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    tokenizer.pad_token = tokenizer.eos_token
    facts = {
        "vocab_size": len(tokenizer), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 512, "type_vocab_size": 1, "pad_token_id": tokenizer.pad_token_id,
        "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8, "d_ff": 32,
        "n_embd": 16, "n_layer": 1, "n_head": 2, "embedding_size": 16,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "decoder_start_token_id": 0,
        "global_attn_every_n_layers": 1, "cls_token_id": 0, "sep_token_id": 0,
    }  # fmt: skip
    kind = getattr(transformers, kind)
    torch.manual_seed(0)
    model = kind(kind.config_class(**(facts | changes)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "kind",
    ["BertForMaskedLM", "BertForPreTraining", "BertModel", "RobertaForMaskedLM", "XLMRobertaForSequenceClassification", "MPNetForMaskedLM",
     "DistilBertForMaskedLM", "AlbertForMaskedLM", "ElectraForPreTraining", "T5ForConditionalGeneration", "T5EncoderModel", "GPT2LMHeadModel",
     "ModernBertForMaskedLM", "DebertaV2ForMaskedLM", "BartForConditionalGeneration"],
)  # fmt: skip
def test_heads_that_an_encoder_does_without_are_no_fault(tmp_path, llama, kind):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    folder = encoder_folder(tmp_path / "encoder", kind, llama)
    with reading(folder):
        module = Transformer(str(folder))
    model = SentenceTransformer(modules=[module, Pooling(module.get_embedding_dimension(), "mean")], device="cpu")
    check_embeddings(model, folder)
    model.save_pretrained(str(tmp_path / "saved"))
    check_embeddings(open_sentence_transformer(tmp_path / "saved", device="cpu"), "saved")


def test_a_pooler_that_was_not_saved_matters_only_where_it_is_read(tmp_path, llama):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    folder = encoder_folder(tmp_path / "encoder", "BertForMaskedLM", llama)
    for output, width in (("last_hidden_state", "token_embeddings"), ("pooler_output", "sentence_embedding")):
        how = {"text": {"method": "forward", "method_output_name": output}}
        with reading(folder):
            module = Transformer(str(folder), modality_config=how, module_output_name=width)
        model = SentenceTransformer(modules=[module, *([Pooling(16)] if width[0] == "t" else [])], device="cpu")
        if output == "last_hidden_state":
            check_embeddings(model, folder)
        else:
            with pytest.raises(CheckpointError, match="a pooler"):
                check_embeddings(model, folder)


def test_old_buffers_in_the_files_are_no_fault(llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "backbone")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    weights["model.embeddings.position_ids"] = torch.arange(4)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    load_causal_lm(folder, "cpu")


class FakeTokenizer:
    """As many ordinary and added tokens as asked for."""

    def __init__(self, ordinary, added=0):
        self.words = {f"w{row}": row for row in range(ordinary)}
        self.added = {f"<{row}>": row for row in range(ordinary, ordinary + added)}

    def __len__(self):
        return len(self.words) + len(self.added)

    def get_vocab(self):
        return self.words | self.added

    def get_added_vocab(self):
        return self.added


@pytest.mark.parametrize(
    ("ordinary", "added", "rows", "is_fine"),
    [
        (30522, 0, 30522, True),
        (50257, 38, 51200, True),  # Phi-2
        (32000, 100, 32128, True),  # T5
        (262144, 1, 262144, True),  # Gemma 3: a token for images beyond the matrix
        (16000, 0, 30522, True),
        (12, 0, 64, True),  # bases, padded to 64
        (60, 4, 128, True),  # letters, padded to 128
        (60, 0, 160, False),
        (5, 0, 33, False),
        (15000, 0, 30522, False),
        (5, 0, 30522, False),
        (0, 4, 360, False),
        (30523, 0, 30522, False),  # an ordinary token without a row
        (250002, 0, 30522, False),
    ],
)
def test_tokenizer_and_embedding_matrix_belong_together(ordinary, added, rows, is_fine):
    tokenizer = FakeTokenizer(ordinary, added)
    if is_fine:
        check_tokenizer(tokenizer, rows, "it")
    else:
        with pytest.raises(
            CheckpointError, match=f"a tokenizer of {len(tokenizer):,} tokens for an embedding matrix of {rows:,}"
        ):
            check_tokenizer(tokenizer, rows, "it")


def static_model(vocabulary, rows, *, seed=0):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: place for place, word in enumerate(["[UNK]", *vocabulary])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(seed)
    return SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=torch.randn(rows, 6))], device="cpu"
    )


def test_static_embeddings(tmp_path):
    good = static_model(["polar", "bears", "wine"], 4)
    check_embeddings(good, "good")
    good.save_pretrained(str(tmp_path / "good"))
    check_embeddings(open_sentence_transformer(tmp_path / "good", device="cpu"), "good")
    with pytest.raises(CheckpointError, match="the same embedding"):
        check_embeddings(static_model([], 1), "no word is known")
    static_model(["polar"], 9).save_pretrained(str(tmp_path / "other"))
    with pytest.raises(CheckpointError, match="a tokenizer of 2 tokens for an embedding matrix of 9 rows"):
        open_sentence_transformer(tmp_path / "other", device="cpu")


@pytest.mark.parametrize(
    ("number", "told"),
    [(float("nan"), "NaN or infinite"), (float("inf"), "NaN or infinite"), (0.0, "the same embedding of zeros")],
)
def test_embeddings_that_say_nothing_are_refused(number, told):
    model = static_model(["polar", "bears", "wine"], 4)
    with torch.no_grad():
        model[0].embedding.weight.fill_(number)
    with pytest.raises(CheckpointError, match=told):
        check_embeddings(model, "it")


def test_one_embedding_for_all_texts_is_refused():
    model = static_model(["polar", "bears", "wine"], 4)
    with torch.no_grad():
        model[0].embedding.weight.copy_(model[0].embedding.weight[:1].repeat(4, 1))
    with pytest.raises(CheckpointError, match="different texts the same embedding"):
        check_embeddings(model, "it")


def test_dense_with_a_foreign_activation_is_refused(copied):
    """sentence-transformers puts tanh in its place, with no more than a warning."""
    change_config(copied, "2_Dense/config.json", activation_function="their.code.Swish")
    with pytest.raises(CheckpointError, match=r"activation .*their\.code\.Swish"):
        open_sentence_transformer(copied, device="cpu")


@pytest.mark.parametrize("spoil", ["other names", "layer gone", "one more"])
def test_an_adapter_that_fits_nothing_is_refused(llama, tmp_path, spoil):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    adapter = tmp_path / "adapter"
    base = AutoModelForCausalLM.from_pretrained(llama)
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"])).save_pretrained(adapter)
    AutoTokenizer.from_pretrained(llama).save_pretrained(adapter)

    def through_peft():
        from peft import PeftModel

        with whole_models():
            PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(llama), str(adapter))

    def through_transformers():
        with reading(adapter):
            AutoModelForCausalLM.from_pretrained(adapter)

    def as_an_encoder():
        with reading(adapter):
            AutoModel.from_pretrained(adapter)

    ways = (through_peft, through_transformers, as_an_encoder)
    for way in ways:
        way()
    path = adapter / "adapter_model.safetensors"
    weights = load_file(path)
    changed = {
        "other names": {name.replace("layers", "blocks"): tensor for name, tensor in weights.items()},
        "layer gone": {name: tensor for name, tensor in weights.items() if "layers.0" not in name},
        "one more": weights | {next(iter(weights)).replace("layers.0", "layers.7"): torch.ones(2, 2)},
    }[spoil]
    save_file(changed, path, metadata={"format": "pt"})
    for way in ways:
        with pytest.raises(CheckpointError, match="adapter weights"):
            way()


def test_nothing_changes_outside_the_block(copied):
    from sentence_transformers import SentenceTransformer

    with whole_models():
        pass
    FAULTS["other names"][0](copied)
    SentenceTransformer(str(copied), device="cpu")


@pytest.mark.parametrize("name", ["passage", "corpus"])
def test_prompts_of_documents_are_used_whatever_they_are_called(copied, name):
    change_config(copied, "config_sentence_transformers.json", prompts={"query": "query: ", name: "passage: "})
    model = genzoo.load(str(copied), device="cpu")
    expected = model.encode(["a fox"], prompt="passage: ")
    assert (model.encode_document(["a fox"]) == expected).all()
    assert (model.encode(["a fox"], prompt="") != expected).any()
    assert model.prompts[name] == "passage: "


def test_a_prompt_called_document_is_never_replaced(copied):
    change_config(
        copied, "config_sentence_transformers.json", prompts={"query": "q: ", "document": "d: ", "passage": "p: "}
    )
    assert genzoo.load(str(copied), device="cpu").prompts["document"] == "d: "


def test_a_cross_encoder_without_a_trained_head_is_refused(tmp_path, llama):
    from sentence_transformers import CrossEncoder

    trained = encoder_folder(tmp_path / "trained", "BertForSequenceClassification", llama, num_labels=1)
    with whole_models():
        check_tokenizers(CrossEncoder(str(trained), device="cpu"), "it")
    body = encoder_folder(tmp_path / "body", "BertForMaskedLM", llama)
    with pytest.raises(CheckpointError, match=r"classifier\.(weight|bias)"), whole_models():
        CrossEncoder(str(body), device="cpu")


def test_a_model_of_the_hub_goes_the_same_way(copied, monkeypatch):
    """By name instead of by folder; what sentence-transformers fetches is a folder of the cache."""
    from genzoo.backbones import whole
    from genzoo.tasks.embedders import mteb_models

    seen = []

    def opened(source, **options):
        seen.append((source, options))
        return whole.open_sentence_transformer(copied, device="cpu")

    monkeypatch.setattr(mteb_models, "open_sentence_transformer", opened)
    mteb_models._load_from_hub("org/name", revision="a" * 40, device="cpu")
    assert seen == [("org/name", {"revision": "a" * 40, "device": "cpu"})]
    FAULTS["other names"][0](copied)
    with pytest.raises(CheckpointError, match="is not whole"):
        mteb_models._load_from_hub("org/name", revision="a" * 40, device="cpu")


def test_a_gguf_that_lacks_weights_is_refused(tmp_path, monkeypatch):
    """The reader reports what a GGUF lacks, and fills it with random numbers."""
    import transformers

    from genzoo.backbones.sources import convert_gguf

    folder = build_backbone(tmp_path / "b", "llama", tied=True)
    rename_weights(folder, lambda name: name if "layers.1.mlp.up" not in name else None)
    plain = {name: getattr(transformers, name).from_pretrained for name in ("AutoModelForCausalLM", "AutoTokenizer")}
    for name, load_it in plain.items():
        # a stand-in for the reader of GGUF files, which takes the same way from there on
        monkeypatch.setattr(
            getattr(transformers, name), "from_pretrained", lambda f, gguf_file, load_it=load_it, **o: load_it(f, **o)
        )
    with pytest.raises(CheckpointError, match=r"layers\.1\.mlp\.up_proj\.weight"):
        convert_gguf(folder / "it.gguf", tmp_path / "converted")
    assert not (tmp_path / "converted").exists()
