"""What `gradlab.torch` is made of: a function of tensors as one of NumPy arrays, and checks of its own."""
