"""What the end-to-end tests share: the binary, the demo, a gateway of one's own, upstreams."""
