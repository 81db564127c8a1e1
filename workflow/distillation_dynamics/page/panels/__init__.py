"""Panels of the page: one file each, from tables to charts with data and controls."""
