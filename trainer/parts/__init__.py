"""Parts a model is composed of; one idea a file."""
