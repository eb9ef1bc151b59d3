"""What is kept of releases, and what is told from it: records, stories, the past, reports."""
