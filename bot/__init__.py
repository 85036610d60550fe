"""The rules of approval, which are pure, and the use cases built from them."""
