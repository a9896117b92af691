"""The largest values of each row, ties included."""

import torch

from tagging.scoring.top_k import top_k


def test_of_equal_values_the_lower_column_comes_first() -> None:
    values = torch.tensor([[0.5, -0.25, 0.5, -0.5, -0.0, 0.0], [-3.0, -2.0, -1.0, -1.0, -2.0, -4.0]])
    got, columns = top_k(values, 5)
    assert columns.tolist() == [[0, 2, 4, 5, 1], [2, 3, 1, 4, 0]]
    assert got.tolist() == [[0.5, 0.5, 0.0, 0.0, -0.25], [-1.0, -1.0, -2.0, -2.0, -3.0]]
    assert top_k(values, 9)[1].tolist() == [[0, 2, 4, 5, 1, 3], [2, 3, 1, 4, 0, 5]]
    # a tie across the cut: of three equal values the first is kept
    assert top_k(torch.tensor([[0.1, 0.7, 0.7, 0.7, 0.9]]), 2)[1].tolist() == [[4, 1]]
