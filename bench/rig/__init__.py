"""What the measurements share: a broker beside the plain servers that it is compared with."""
