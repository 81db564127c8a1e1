"""The panels of the page: a question a file, each from tables to charts with their data and controls."""
