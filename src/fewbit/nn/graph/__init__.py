"""Recurrent cells as graphs of nodes and edges, and the plan by which they run."""
