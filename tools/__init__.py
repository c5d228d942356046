"""What made the training data and what looks after the code: no part of the product."""
