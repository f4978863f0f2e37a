// BookieWire
