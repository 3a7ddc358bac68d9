"""A frozen LLM read half-way: a view of its first layers that shares their weights, and what a config of so many layers says.

The final norm follows the last layer that is read, as in a stock model whose ``num_hidden_layers`` is that number.
"""

from __future__ import annotations

import copy
from typing import Any

from genzoo.errors import InputError


def check_layer(config: Any, layer: int) -> None:
    """Check that a backbone can be read after a layer.

    Args:
        config: Of the backbone.
        layer: Counted from 1; 0 reads all layers, which every backbone can.

    Raises:
        InputError: For a layer that the backbone has not, or an architecture that this was not checked on.
    """
    if not layer:
        return
    from genzoo.backbones.forward import FAMILIES  # seconds of transformers, which reading a config does not need

    config = config.get_text_config()
    if layer > config.num_hidden_layers:
        raise InputError(
            f"exit_layer is {layer}, the backbone has layers 1 to {config.num_hidden_layers}: give one of those, or 0 for all"
        )
    if config.model_type not in FAMILIES:
        raise InputError(
            f"exit_layer is {layer}, but it was checked on {', '.join(FAMILIES)} only, and this backbone is {config.model_type}: "
            "leave it out (0)"
        )


def shallow_config(config: Any, layer: int) -> dict[str, Any]:
    """What a config of the first `layer` layers says otherwise than the whole one's; nothing where `layer` is 0.

    >>> from transformers import AutoConfig
    >>> shallow_config(AutoConfig.for_model("llama", num_hidden_layers=4), 3)
    {'num_hidden_layers': 3}
    """
    if not layer:
        return {}
    types = getattr(config, "layer_types", None)
    return {"num_hidden_layers": layer} | ({"layer_types": list(types[:layer])} if types else {})


def first_layers(model: Any, layer: int) -> Any:
    """A causal LM that ends after its first layers, without a copy of any weight.

    Args:
        model: The whole causal LM; on a CPU its attention becomes genzoo's (`genzoo.backbones.forward`), which gives the same.
        layer: How many layers are run; 0 gives the model itself.

    Raises:
        InputError: As `check_layer`.
    """
    if not layer:
        return model
    from genzoo.backbones.forward import attend_packed

    check_layer(model.config, layer)
    # the layers look at the whole model's config, the view at its own: both must name one attention
    attend_packed(model)
    view, body = _with_own_parts(model), _with_own_parts(model.base_model)
    body.layers = body.layers[:layer]
    body.config = copy.copy(body.config)
    for name, value in shallow_config(body.config, layer).items():
        setattr(body.config, name, value)
    setattr(view, view.base_model_prefix, body)
    view.config = body.config
    return view


def _with_own_parts(module: Any) -> Any:
    """A module of the same parts, which may be replaced without changing the first."""
    made = copy.copy(module)
    made._modules = dict(module._modules)
    return made
