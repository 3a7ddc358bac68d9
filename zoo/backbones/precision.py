"""Matrix products in bfloat16, everything else in float32: encoding on a CPU that has instructions for bfloat16.

What bfloat16 costs was measured on SmolLM2-135M, as the smallest cosine with float32 over 120 real texts: .9979 with everything in
bfloat16, .99926 with the matrix products alone, .99961 with those of the first layer in float32 too (its output holds the large
numbers that all later layers attend to), .99972 with keys and values also. Over 2,000 texts a few short ones fell to .9993, by the
outputs of the MLPs that make such numbers in the first third of the layers. Hence what `stays_exact`: a fifth of the products. What
the last product of an MLP rounds anyway is left in bfloat16, which saves conversions and takes it no further from float32.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from genzoo.compute import has_bfloat16

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)
ENOUGH = 0.9995
"""The least cosine of an embedding in bfloat16 with the same in float32, both `damped`."""
FAINT = 0.25
"""What is left of the part of an embedding along the policy's axis, in `damped`."""
ROUNDED = "bfloat16 products"
"""How records name this precision."""
LARGE = 50_000_000
"""Parameters of a backbone below which bfloat16 gains nothing: a small one waits for other things than matrix products."""


class RoundedLinear(nn.Module):
    """A linear layer that rounds its operands to bfloat16; its output is in float32, and the bias is not rounded.

    Args:
        linear: The layer in float32; it is left as it is.
        is_rounded_later: Its output stays in bfloat16, as what is made of it is rounded before it is used.
    """

    def __init__(self, linear: nn.Linear, is_rounded_later: bool = False) -> None:
        super().__init__()
        self.is_rounded_later = is_rounded_later
        self.weight = nn.Parameter(linear.weight.detach().bfloat16(), requires_grad=False)
        self.bias = linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """``(..., in) -> (..., out)``."""
        product = nn.functional.linear(inputs.bfloat16(), self.weight)
        if not self.is_rounded_later:
            product = product.float()
        return product if self.bias is None else product + self.bias


def stays_exact(name: str, n_layers: int) -> bool:
    """Whether a linear layer stays in float32: all of the first twelfth of the layers, MLP outputs of the first third, keys, values.

    >>> [stays_exact(f"layers.{layer}.mlp.down_proj", 30) for layer in (2, 9, 10)]
    [True, True, False]
    """
    match = re.match(r"layers\.(\d+)\.", name)
    place = (int(match[1]) if match else 0) / n_layers
    return place < 1 / 12 or (place < 1 / 3 and name.endswith("down_proj")) or name.endswith(("k_proj", "v_proj"))


def round_products(body: Any) -> Callable[[], None]:
    """Let the linear layers of a backbone multiply in bfloat16, but for those that `stays_exact` names.

    Args:
        body: Backbone of a family of `genzoo.backbones.forward.FAMILIES`, in float32.

    Returns:
        What undoes it.
    """
    found = [
        (name, layer)
        for name, layer in body.named_modules()
        if isinstance(layer, nn.Linear) and not stays_exact(name, len(body.layers))
    ]
    names = {name for name, _ in found}
    for name, layer in found:
        is_input = name.endswith((".gate_proj", ".up_proj")) and f"{name.rpartition('.')[0]}.down_proj" in names
        body.set_submodule(name, RoundedLinear(layer, is_rounded_later=is_input))

    def undo() -> None:
        for name, layer in found:
            body.set_submodule(name, layer)

    return undo


def damped(embeddings: Any, axis: Any) -> Any:
    """Embeddings as they are compared with others of the same texts: of their part along a policy's axis, `FAINT` counts.

    A content policy moves a query along its axis by how refused it looks. That divides all its similarities by one number and leaves
    their order alone, so what rounds the number matters less than what rounds the rest.

    Args:
        embeddings: ``(texts, D)`` of unit length, of torch or numpy, or the first dimensions of such.
        axis: ``(D,)``, of any length and of the same library; None leaves the embeddings as they are, and so does one that is narrower
            than they are, which is no axis of theirs.

    Returns:
        The same shape, not of unit length.
    """
    width = embeddings.shape[1]
    if axis is None or len(axis) < width:
        return embeddings
    axis = axis[:width]
    length = float(axis @ axis) ** 0.5
    unit = axis / length if length else axis
    return embeddings - (1 - FAINT) * (embeddings @ unit)[:, None] * unit


def try_bfloat16(
    model: SentenceTransformer, texts: Sequence[str], is_asked_for: bool = False, axis: Tensor | None = None
) -> bool:
    """Let a generative embedder multiply in bfloat16 where that is faster and changes no embedding of some texts by much.

    Args:
        model: As `genzoo.load` returns it, in float32.
        texts: Texts that are encoded both ways, prompts included.
        is_asked_for: Round in any case that is possible; a result below `ENOUGH` is then a warning.
        axis: ``(D,)``: along which a content policy moves a refused query (`damped`).

    Returns:
        Whether it multiplies in bfloat16 now.
    """
    body: Any = model[0].model
    is_small = sum(one.numel() for one in body.parameters()) < LARGE
    if not can_round(model) or (not is_asked_for and (is_small or not has_bfloat16())):
        return False
    exact = _embed(model, texts)
    undo = round_products(body)
    cosine = float(nn.functional.cosine_similarity(damped(exact, axis), damped(_embed(model, texts), axis)).min())
    apart = "" if axis is None else ", their policy's axis counted a quarter,"
    line = (
        f"its embeddings of {len(texts)} probe texts{apart} have a cosine of {cosine:.5f} or more with those in float32"
    )
    if cosine >= ENOUGH:
        log.info(f"matrix products in bfloat16: {line}")
        return True
    if is_asked_for:
        log.warning(f"matrix products in bfloat16 as asked for, but {line} (at least {ENOUGH} is usual)")
        return True
    undo()
    log.info(f"float32, as in bfloat16 {line} (at least {ENOUGH} is needed)")
    return False


def can_round(model: Any) -> bool:
    """Whether `genzoo.load` made the model, its weights are in float32, and it is on a CPU."""
    from genzoo.backbones.forward import can_pack, is_packed

    return is_packed(model) and can_pack(model[0].model) and precision_of(model) == "float32"


def precision_of(model: Any) -> str | None:
    """Precision of a module: ``float32``, ``bfloat16`` ... by its first weight, or ``bfloat16 products``; None without a weight."""
    if any(isinstance(part, RoundedLinear) for part in model.modules()):
        return ROUNDED
    weight = next(iter(model.parameters()), None)
    return None if weight is None else str(weight.dtype).removeprefix("torch.")


def _embed(model: SentenceTransformer, texts: Sequence[str]) -> Tensor:
    made = model.encode(list(texts), prompt="", convert_to_tensor=True, show_progress_bar=False).float()
    return nn.functional.normalize(made, dim=-1)
