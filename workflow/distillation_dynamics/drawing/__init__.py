"""What figures are drawn with: how networks look, where panels, legends and notes stand, and whole kinds of figures."""
