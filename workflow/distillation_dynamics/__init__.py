"""What knowledge distillation does inside a Vision Transformer: the library behind the workflow."""
