"""Single searches: how each went, which say most, why some went wrong, and what an evaluation keeps of them."""
