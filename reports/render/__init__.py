"""What a report is made of, and how it becomes HTML, Markdown, CSV, JSON and LaTeX."""
