"""What `tickwire watch` shows: the state of codes, and how it is put on a screen."""
