"""The ranking model: learned online by River in one place, scored everywhere as arrays."""
