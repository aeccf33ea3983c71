"""One call of a chat model: given again, from the cache, or sent; and kept."""
