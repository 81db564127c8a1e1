"""Exports for others: weights that plain timm loads, and tables that Hugging Face `datasets` loads."""
