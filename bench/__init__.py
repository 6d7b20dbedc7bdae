"""Side-by-side benchmarks of kit against the plain way of doing the same thing."""
