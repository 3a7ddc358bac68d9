"""Embedders by every name that a user may give: models of files, Python objects, endpoints, stored vectors, hybrids."""
