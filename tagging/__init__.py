"""All users x all tags."""
