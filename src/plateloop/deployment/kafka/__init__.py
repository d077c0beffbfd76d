"""Apache Kafka: what is sent, how it is delivered, and how it is read back."""
