"""Files nobody vouches for -> arrays."""
