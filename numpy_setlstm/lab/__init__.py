"""The laboratory: comparisons, benchmark, rivals, self-check; what produces the pages of docs/."""
