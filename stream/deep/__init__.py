"""Training a session model offline: what `stream train` does. Serving it is `stream.sources.deep`."""
