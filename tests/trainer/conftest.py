import torch

# as the jobs do by default ([training] threads): several threads slow networks this small down when cores are shared
torch.set_num_threads(1)
