"""From a query log and a corpus to judgements: the pool of passages, the page that they are judged on, and what judges said."""
