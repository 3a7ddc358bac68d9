"""Stock models as faulty clients run them: modules left out, another pooling."""


def without(model, *names):
    """A stock model without its modules of some classes."""
    from sentence_transformers import SentenceTransformer

    modules = [one for one in model if type(one).__name__ not in names]
    return SentenceTransformer(modules=modules, prompts=model.prompts, device="cpu")


def pooled(model, mode):
    """A stock model whose pooling is another one."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = [one for one in model if type(one).__name__ != "WordWeights"]
    place = next(place for place, one in enumerate(modules) if type(one).__name__ == "Pooling")
    modules[place] = Pooling(modules[place].get_embedding_dimension(), mode)
    return SentenceTransformer(modules=modules, prompts=model.prompts, device="cpu")
