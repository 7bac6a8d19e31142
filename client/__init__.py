"""The participant: policy, data, training, validation."""
