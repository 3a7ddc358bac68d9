"""Zoo models: what a checkpoint holds, how it becomes a SentenceTransformer, and how an embedding is read back to text."""
