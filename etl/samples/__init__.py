"""Raw tables to samples: DataFrame in, DataFrame out."""
