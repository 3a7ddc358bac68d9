"""Published models: what they must be (fingerprint, licence, card), how they get to the Hub, and how they are carried on."""
