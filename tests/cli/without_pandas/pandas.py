"""In the place of pandas, which pyarrow imports where it can: that takes longer than all else of a small query."""

raise ImportError("these tests run without pandas")
