"""The encoders that give the training targets, among them those that a frozen LLM makes of itself."""
