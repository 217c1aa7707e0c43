"""Technology behind the ports: the SDK's feed, Prometheus."""
