"""What a worker must remember between batches."""
