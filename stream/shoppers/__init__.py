"""All that is keyed by shopper: session, window, basket, history, duplicates."""
