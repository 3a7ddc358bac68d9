"""A content policy: which queries get a refusal, as examples teach the frozen LLM."""
