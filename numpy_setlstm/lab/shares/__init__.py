"""How accuracy depends on the share of parameters: recipes searched with equal effort, then many sizes and seeds."""

from numpy_setlstm.lab.shares.search import search
from numpy_setlstm.lab.shares.sweep import sweep

__all__ = ["search", "sweep"]
