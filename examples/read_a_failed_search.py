"""Read a failed search: what did the embedding of the query say, and what had the wrong passage in common with it?

python examples/read_a_failed_search.py
"""

import genzoo

QUERY = "My glasses fog up whenever I come into the warm kitchen in winter."
PASSAGES = [
    "Humid air that meets a cold surface loses part of its moisture as tiny droplets.",
    "In winter the kitchen is often the only warm room in an old farmhouse.",
    "Air forced to climb cools and drops its rain on the slope that faces the wind.",
]
RIGHT = 1  # the number of the passage that explains what happened


def main(model: str = "smollm2-135m") -> None:
    """Search, and print what the query and the passages decode to, nearest first."""
    explanation = genzoo.explain(QUERY, PASSAGES, model=model, right=RIGHT)
    print(f"Query: {QUERY}\n  decodes to: {explanation.query.decoded!r}")
    for found in explanation.found:
        mark = "  <- should have won" if found.place == RIGHT else ""
        print(f"\n{found.rank}. {found.reading.text} ({found.similarity:.3f}){mark}")
        print(f"  decodes to: {found.reading.decoded!r}")
        print(f"  words in common with the query: {', '.join(found.shared_text) or 'none'}")
    print(f"\n{explanation.verdict}")


if __name__ == "__main__":
    main()
