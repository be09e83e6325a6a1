"""Three workers on real Kafka and Redis, killed, frozen and cut off in every way, and then counted again."""
