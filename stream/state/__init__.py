"""What state is made of: reserved arrays, interned ids, hashes, decay, compiled kernels."""
