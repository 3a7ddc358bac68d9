"""Judged pools: how the judging stands, what unjudged passages do to a score, and how many more queries a comparison needs."""
