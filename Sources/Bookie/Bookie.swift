// Bookie
