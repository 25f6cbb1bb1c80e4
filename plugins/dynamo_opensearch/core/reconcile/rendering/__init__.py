"""What the page of a reconciliation is made of: markup, words, scales, symbols and sections."""
