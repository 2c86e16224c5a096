"""What a surface can see and do: over the store, or over HTTP through the sink."""
