"""The wire contract: typed events, decoding, refusals, and readers for existing logs."""
