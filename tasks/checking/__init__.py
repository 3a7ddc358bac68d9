"""What a user's own data holds and how far its figures can be trusted, before anything is measured."""
