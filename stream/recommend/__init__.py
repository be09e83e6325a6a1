"""From a shopper's row to a ranked list: candidates, features, model, exclusions, JSON."""
