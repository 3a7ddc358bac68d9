"""From a query log to trained tokens: responses, targets, token training."""
