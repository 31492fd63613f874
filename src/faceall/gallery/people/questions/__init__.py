"""Questions to a user about people, and what the answers change."""
