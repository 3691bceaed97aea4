"""The bench: what a call through aisa costs, beside nginx and a naive relay. Nothing here is imported by the product."""
