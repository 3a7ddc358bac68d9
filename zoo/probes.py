"""Twenty everyday questions, written for this project: what a model's embeddings say of them is shown beside its scores."""

EVERYDAY_QUESTIONS = (
    "where do polar bears live?",
    "how do I get red wine out of a carpet?",
    "what causes thunder and lightning?",
    "how long should I boil an egg?",
    "why is the sky blue?",
    "how can I save money on groceries?",
    "what are the symptoms of the flu?",
    "how does a refrigerator keep food cold?",
    "what should I pack for a beach holiday?",
    "how do vaccines work?",
    "who painted the Mona Lisa?",
    "how do I change a flat bicycle tyre?",
    "what is the capital of Japan?",
    "why do cats purr?",
    "how do I write a cover letter for a job?",
    "what is the difference between a virus and a bacterium?",
    "how do bees make honey?",
    "what helps against a headache?",
    "how do I train a puppy to sit?",
    "when did the Second World War end?",
)
