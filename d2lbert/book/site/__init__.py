"""The book as a site, as slides and with a BERT in the page."""
