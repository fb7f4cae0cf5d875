"""What a report says, and its forms: page, Markdown, JSON and model card."""
