"""Values as they travel: what schemas say of them, how bytes become values, and how a wire value is read exactly. Pure."""
