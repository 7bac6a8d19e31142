"""Statistics of data: what a site sees in its own rows, and what changed between two audits."""
