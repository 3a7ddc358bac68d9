"""What is measured: the bundled sets, a user's own, and the benchmarks that they form."""
