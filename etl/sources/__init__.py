"""Sources of raw tables: somebody's data onto the tables of the contract."""
