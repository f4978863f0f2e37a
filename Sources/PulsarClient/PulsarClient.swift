// PulsarClient
