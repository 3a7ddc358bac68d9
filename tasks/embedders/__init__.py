"""Embedders that are no model of this machine: endpoints, vectors computed elsewhere, hybrids."""
