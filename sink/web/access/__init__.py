"""Who may do what over HTTP: tokens, sessions, forged requests, limits, headers."""
