// GeoReplication
