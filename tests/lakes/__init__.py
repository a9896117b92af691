"""Small lakes that tests work on: one maker of settings, tables published by contract."""
