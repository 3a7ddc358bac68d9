"""A user's own data as tasks: found in files of many layouts, checked whole before any model is loaded, streamed where they are large."""
