"""From a folder of result files to one tidy frame, with the facts and the problems that belong to it."""
