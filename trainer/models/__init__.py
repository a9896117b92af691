"""Parts put together: rankers and taggers."""
