"""All users against all tags."""
