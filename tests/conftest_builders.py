"""Builders of tiny backbones and checkpoints of the real architectures, for all tests."""

from dataclasses import replace
from pathlib import Path

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SENTENCES = [
    "where do polar bears live and what do they eat",
    "the quick brown fox jumps over the lazy dog near the river bank",
    "how do I change a flat tyre on my bicycle before the rain comes",
    "a library keeps books that people borrow and bring back later",
] * 4
TEXTS = [
    "where do polar bears live",
    "",
    "the quick brown fox " * 40,
    "café 東京 🙂",
    " two  spaces ",
    "<|im_start|> <|gen_0|>",
]

ON_A_TINY_LLM = {"policy.examples": None, "exit_layer": 0}
"""Changes with which the shipped recipes train a tiny random LLM: it cannot judge requests, and has few layers."""
TINY_LLM_WORDS = [word for name, value in ON_A_TINY_LLM.items() for word in ("--set", f"{name}={value}".lower())]
"""The same for the command line."""


def build_backbone(
    folder: Path,
    family: str = "llama",
    *,
    bos: bool = True,
    tied: bool = False,
    spare: int = 16,
    chat: bool = True,
    padding_side: str = "right",
    **changes,
):
    """Write a random model of the real architecture class with a trained byte-level tokenizer.

    ``changes`` go into the config, such as ``sliding_window=8``.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|begin_of_text|> $A",
            special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))],
        )
    options = {"bos_token": "<|begin_of_text|>"} if bos else {"pad_token": "<|endoftext|>"}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", padding_side=padding_side, **options
    )
    fast.chat_template = CHAT if chat else None
    facts = {"num_hidden_layers": 2} | ({"head_dim": 8} if family in ("qwen3", "mistral", "gemma3_text") else {})
    if family == "gemma3_text":
        facts |= {"query_pre_attn_scalar": 8, "layer_types": ["sliding_attention", "full_attention"]}
    config = AutoConfig.for_model(
        family,
        vocab_size=len(fast) + spare,
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.2,
        tie_word_embeddings=tied,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        **(facts | changes),
    )
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def build_checkpoint(
    backbone: Path,
    *,
    n_thought: int = 0,
    n_compression: int = 4,
    dim: int = 12,
    seed: int = 0,
    has_policy: bool = False,
):
    """A checkpoint with random numbers for a backbone folder; its policy's score is cut off for some texts and not for others."""
    import torch
    from transformers import AutoConfig, AutoTokenizer

    from genzoo.backbones.entries import backbone_digest
    from genzoo.models.checkpoint import TokenCheckpoint, make_spec
    from genzoo.recipes.recipes import Recipe

    recipe = Recipe("test", str(backbone), "minilm", n_thought=n_thought, n_compression=n_compression)
    tokenizer, config = AutoTokenizer.from_pretrained(backbone), AutoConfig.from_pretrained(backbone)
    torch.manual_seed(seed)
    hidden = config.hidden_size
    made = TokenCheckpoint(
        spec=make_spec(tokenizer, config.vocab_size, recipe.n_thought, recipe.n_compression, ()),
        rows=torch.randn(n_thought + n_compression, hidden) * 0.2,
        recon_weight=torch.randn(hidden, hidden) * 0.2,
        recon_bias=torch.randn(hidden) * 0.1,
        align_weight=torch.randn(dim, hidden) * 0.2,
        align_bias=torch.randn(dim) * 0.1,
        backbone=str(backbone),
        backbone_digest=backbone_digest(backbone),
        recipe_digest="0" * 16,
        max_tokens=64,
        unit_length=True,
    )
    if not has_policy:
        return made
    score = {"weight": torch.randn(hidden) * 0.5, "bias": torch.tensor([0.1])}
    return replace(made, policy=score | {"direction": torch.randn(dim) * 2})


def formula(checkpoint, backbone, texts):
    """The method's own words: last states of the appended tokens, two linear maps, mean."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from genzoo.backbones.tokenizer import plain_ids

    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    ids = plain_ids(tokenizer, texts, checkpoint.max_tokens - len(checkpoint.spec))
    vectors = []
    for row in ids:
        prefix = model.get_input_embeddings()(torch.tensor(row, dtype=torch.long))
        states = model.base_model(inputs_embeds=torch.cat([prefix, checkpoint.rows])[None]).last_hidden_state[0]
        h = states[-checkpoint.spec.n_compression :]
        p = h @ checkpoint.recon_weight.T + checkpoint.recon_bias
        vector = (p @ checkpoint.align_weight.T + checkpoint.align_bias).mean(dim=0)
        if checkpoint.policy:
            policy = checkpoint.policy
            vector += max(p.mean(dim=0) @ policy["weight"] + policy["bias"][0], 0) * policy["direction"]
        vectors.append(vector)
    vectors = torch.stack(vectors).detach()
    return (torch.nn.functional.normalize(vectors) if checkpoint.unit_length else vectors).numpy()
