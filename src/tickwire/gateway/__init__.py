"""The client side: who is let in, and what each wants."""
