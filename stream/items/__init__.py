"""All that is keyed by item: co-occurrence rows, popularity, demand, catalogue facts."""
